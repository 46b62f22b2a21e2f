import { fingerprint, isSessionId } from '../../src/ports/sessionId.js';

describe('a session id', () => {
  it.each(['a', '!', '~', '4f5a-_.:{}%', 'x'.repeat(256)])('may be %p', id => {
    expect(isSessionId(id)).toBe(true);
  });

  it.each(['', ' ', 'a b', 'tab\t', 'line\n', 'ümlaut', 'a, b', '\x7f', 'x'.repeat(257)])('may not be %p', id => {
    expect(isSessionId(id)).toBe(false);
  });

  it('has a fingerprint that does not show it and differs from that of another', () => {
    const id = '3e1f6f0e-6d6c-4c5a-8f6e-1f0e6d6c4c5a';
    expect(fingerprint(id)).toMatch(/^[0-9a-f]{8}$/);
    expect(fingerprint(id)).toBe(fingerprint(id));
    expect(id).not.toContain(fingerprint(id));
    expect(fingerprint(id)).not.toBe(fingerprint(id.replace('3', '4')));
  });
});
