const stops: (() => unknown)[] = [];

/** Has what a test started stopped behind it, one after the other. */
export function stopAfterTest(...more: (() => unknown)[]): void {
  stops.push(...more);
}

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});
