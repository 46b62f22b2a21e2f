#!/usr/bin/env node
import { runCli } from './run.js';
import { EXIT } from './usage.js';

// A reader such as `head` closes the pipe before everything is written.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

// A client library may throw where nobody can catch it.
process.on('uncaughtException', ({ message }) => end(EXIT.unusable, `mcp-sdk-anypod: failed: ${message}\n`));

void runCli(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, env: process.env }).then(code =>
  end(code)
);

/** Ends the process after all output is written: connections that still close must not hold it. */
function end(code: number, message = ''): void {
  process.stderr.write(message, () => process.stdout.write('', () => process.exit(code)));
}
