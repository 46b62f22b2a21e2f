/** Express 5: `PORT=3001 npx tsx examples/frameworks/express.ts`. For a shutdown without loss: ../express-redis.ts */
import type { AddressInfo } from 'node:net';
import express from 'express';
import { allowOrigin } from './cors.js';
import { handler, port } from './mcp.js';

const app = express();
app.use('/mcp', (req, res, next) => {
  if (!allowOrigin(req, res)) next();
});
app.use(express.json({ limit: '4mb' }));
app.all('/mcp', (req, res) => handler.node(req, res, req.body));
app.get('/ready', (_, res) => void res.status(handler.ready ? 200 : 503).json(handler.health()));

const server = app.listen(port, '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});
