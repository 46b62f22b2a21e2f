/** Express 5: `PORT=3001 npx tsx examples/frameworks/express.ts`. For a shutdown without loss: ../express-redis.ts */
import type { AddressInfo } from 'node:net';
import express from 'express';
import { handler, port } from './mcp.js';

const app = express();
app.use(express.json({ limit: '4mb' }));
app.all('/mcp', (req, res) => handler.node(req, res, req.body));

const server = app.listen(port, '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});
