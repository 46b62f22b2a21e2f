/** The heap after collecting, when what is under way has ended. The process needs `--expose-gc`. */
export async function settledHeap(): Promise<number> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise(resolve => setTimeout(resolve, 20));
    global.gc!();
  }
  return process.memoryUsage().heapUsed;
}
