/** The name of this package. The build of `mcp-server-anypod` replaces it: see src/mirror/generateServer.mjs. */
export const PACKAGE: string = 'mcp-sdk-anypod';

/** The key under which stores, buses and transports have the name of their package, in every package of this repository. */
export const MADE_BY = Symbol.for('anypod.package');
