import { BackendUnavailableError } from '../errors.js';
import type { Backend } from './backend.js';
import type { BackendOptions } from './options.js';

/** Everything in PostgreSQL. @throws BackendUnavailableError */
export async function openPostgres(_databaseUrl: string, _options: BackendOptions): Promise<Backend> {
  // completed when the backend is in
  throw new BackendUnavailableError('Sessions cannot be kept in PostgreSQL: not available in this version');
}
