/** Express 5: `PORT=3001 npx tsx examples/v2/express.ts` */
import type { AddressInfo } from 'node:net';
import express from 'express';
import { handler, MENU, port } from './mcp.js';

const app = express();
app.use(express.json({ limit: '4mb' }));
app.all('/mcp', (req, res) => handler.node(req, res, req.body));
app.get('/ready', (_, res) => void res.status(handler.ready ? 200 : 503).json(handler.health()));
app.post('/menu', async (_, res) => {
  await handler.notify.resourceUpdated(MENU);
  res.status(204).end();
});

const server = app.listen(port, '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});
