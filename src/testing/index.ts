export * from './common.js';
export { taskStoreContract } from './taskStoreContract.js';
export type { TaskStoreCase, TaskStoreContractOptions, TwoTaskStores } from './taskStoreContract.js';
export { taskMessageQueueContract } from './taskMessageQueueContract.js';
export type {
  TaskMessageQueueCase,
  TaskMessageQueueContractOptions,
  TwoTaskMessageQueues
} from './taskMessageQueueContract.js';
