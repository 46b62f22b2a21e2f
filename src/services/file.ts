import { BackendUnavailableError } from '../errors.js';
import type { Backend } from './backend.js';
import type { BackendOptions } from './options.js';

/** Everything in a file. @throws BackendUnavailableError */
export async function openFile(_path: string, _options: BackendOptions): Promise<Backend> {
  // completed when the backend is in
  throw new BackendUnavailableError('Sessions cannot be kept in a file: not available in this version');
}
