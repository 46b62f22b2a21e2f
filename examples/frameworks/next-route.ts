/** A Next.js route handler: in an application, `app/mcp/route.ts`. */
import { handler } from './mcp.js';

export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';

const handle = (request: Request): Promise<Response> => handler.fetch(request);

export { handle as DELETE, handle as GET, handle as POST };
