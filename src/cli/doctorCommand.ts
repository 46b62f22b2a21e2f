import { BACKEND_HELP, BACKEND_OPTIONS, type Command, COMMON_HELP, type Invocation } from './command.js';
import { type Finding, Findings, type Level } from './finding.js';
import { storageOptions, type StorageOptions } from './storage.js';
import { harmless, type Paint } from './terminal.js';
import { EXIT, UsageError } from './usage.js';

const HELP = `Examines the backend from this machine, as a pod would use it. It writes only keys or rows of its own, and
removes them.

Usage: npx mcp-sdk-anypod doctor [options]

${BACKEND_HELP}

Options:
${COMMON_HELP}

Exit codes:
  0   nothing to improve
  1   warnings
  2   the backend cannot serve sessions
  64  the command line is wrong

Examples:
  npx mcp-sdk-anypod doctor --url redis://redis:6379
  REDIS_URL=rediss://mcp:secret@redis:6380 npx mcp-sdk-anypod doctor
  npx mcp-sdk-anypod doctor --url redis://sentinel-0:26379 --sentinel mymaster
  npx mcp-sdk-anypod doctor --url postgres://mcp@db/app --schema anypod
  npx mcp-sdk-anypod doctor --url file:/var/lib/mcp --json
  kubectl exec deploy/mcp -- npx mcp-sdk-anypod doctor`;

export const doctorCommand: Command = { help: HELP, options: BACKEND_OPTIONS, run };

async function run({ values, positionals, streams, paint, json, print }: Invocation): Promise<number> {
  if (positionals.length > 0) throw new UsageError('doctor takes no arguments: name the backend with --url');
  const options = storageOptions(values, streams.env);
  const findings = new Findings();
  const title = await examine(options, findings);
  const level = findings.has('fatal') ? 'fatal' : findings.has('warning') ? 'warning' : 'ok';
  if (json) print(JSON.stringify({ backend: title, result: level, findings: findings.all }, undefined, 2));
  else show(title, findings, paint, print);
  return { fatal: EXIT.unusable, warning: EXIT.missing, ok: EXIT.ok }[level];
}

/** @returns the name of the backend */
async function examine(options: StorageOptions, findings: Findings): Promise<string> {
  switch (options.selection.type) {
    case 'redis':
      return (await import('./doctor/redis.js')).examineRedis(options, findings);
    case 'postgres':
      return (await import('./doctor/postgres.js')).examinePostgres(options, findings);
    case 'file':
      return (await import('./doctor/file.js')).examineFiles(options, findings);
    case 'memory':
      throw new UsageError('memory has no backend to examine');
  }
}

const MARKS: Readonly<Record<Level, [colour: Parameters<Paint>[0], mark: string]>> = {
  ok: ['green', 'ok'],
  note: ['blue', 'note'],
  warning: ['yellow', 'warning'],
  fatal: ['red', 'fatal']
};

function show(title: string, findings: Findings, paint: Paint, print: (line: string) => void): void {
  print(paint('bold', harmless(title)));
  const width = Math.max(...findings.all.map(({ check }) => check.length));
  const indent = ' '.repeat('warning'.length + width + 6);
  for (const { check, level, what, why, fix } of findings.all) {
    const [colour, mark] = MARKS[level];
    print(`  ${paint(colour, mark.padEnd('warning'.length))}  ${check.padEnd(width)}  ${harmless(what)}`);
    if (why !== undefined) print(`${indent}${paint('dim', 'why')}  ${harmless(why)}`);
    if (fix !== undefined) print(`${indent}${paint('dim', 'do')}   ${harmless(fix)}`);
  }
  print(summary(findings.all, paint));
}

function summary(findings: readonly Finding[], paint: Paint): string {
  const count = (level: Level): number => findings.filter(finding => finding.level === level).length;
  const [fatal, warnings] = [count('fatal'), count('warning')];
  if (fatal > 0) return paint('red', 'This backend cannot serve sessions.');
  if (warnings === 0) return paint('green', 'This backend can serve sessions.');
  return paint('yellow', `This backend can serve sessions, with ${warnings} warning${warnings === 1 ? '' : 's'}.`);
}
