import { networkFileSystem } from '../../src/cli/doctor/file.js';

test.each([
  [0x6969, 'NFS'],
  // Node gives the number of statfs as it is signed in C on some systems.
  [0xff534d42 | 0, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x65735546, 'FUSE']
])('the doctor knows %p as a network file system', (type, name) => {
  expect(networkFileSystem(type)).toBe(name);
});

test.each([
  ['ext4', 0xef53],
  ['xfs', 0x58465342],
  ['btrfs', 0x9123683e]
])('the doctor takes %s for a local disk', (_name, type) => {
  expect(networkFileSystem(type)).toBeUndefined();
});
