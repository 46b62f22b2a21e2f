/** Whether objects and arrays in a JSON value are nested more than `levels` deep. Level by level, so any depth can be checked. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  let current = containersIn([value]);
  for (let level = 0; current.length > 0; level++) {
    if (level === levels) return true;
    current = current.flatMap(container => containersIn(Object.values(container)));
  }
  return false;
}

function containersIn(values: unknown[]): object[] {
  return values.filter(value => typeof value === 'object' && value !== null);
}
