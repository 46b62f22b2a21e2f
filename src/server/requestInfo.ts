import type { RequestInfo } from 'mcp-sdk-upstream/types.js';

/** Headers and URL that are built when somebody looks: most handlers never do. */
export function lazyRequestInfo(headers: () => RequestInfo['headers'], url: () => URL): RequestInfo {
  let builtHeaders: RequestInfo['headers'] | undefined;
  let builtUrl: URL | undefined;
  return {
    get headers() {
      return (builtHeaders ??= headers());
    },
    get url() {
      return (builtUrl ??= url());
    }
  };
}
