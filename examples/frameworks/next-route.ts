/** A Next.js route handler: in an application, `app/mcp/route.ts`. */
import { corsHeaders } from './cors.js';
import { handler } from './mcp.js';

export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';

async function handle(request: Request): Promise<Response> {
  const response = await handler.fetch(request);
  for (const [name, value] of Object.entries(corsHeaders)) response.headers.set(name, value);
  return response;
}

export { handle as DELETE, handle as GET, handle as POST };
export const OPTIONS = (): Response => new Response(null, { status: 204, headers: corsHeaders });
