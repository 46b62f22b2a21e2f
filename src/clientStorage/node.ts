import type * as nodeFs from 'node:fs/promises';
import type * as nodePath from 'node:path';
import { SessionStoreUnavailableError } from '../errors.js';
import { builtInModule } from '../runtime.js';

/** The modules of Node that storages in files use. */
export interface NodeModules {
  readonly fs: typeof nodeFs;
  readonly path: typeof nodePath;
}

/**
 * Takes the modules from the runtime, so that the package loads where there are none.
 * @throws SessionStoreUnavailableError if the runtime has no file system
 */
export function nodeModules(): NodeModules {
  const fs = builtInModule<typeof nodeFs>('node:fs/promises');
  const path = builtInModule<typeof nodePath>('node:path');
  if (fs && path) return { fs, path };
  throw new SessionStoreUnavailableError('This runtime has no file system');
}
