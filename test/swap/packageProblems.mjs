/**
 * What publint and Are The Types Wrong say of the packed package: `node packageProblems.mjs <tarball> <module>...`
 * prints it as JSON. A process of its own, because both are ESM.
 */
import { readFile } from 'node:fs/promises';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';

const [tarball, ...modules] = process.argv.slice(2);
const content = await readFile(tarball);
const { messages } = await publint({ pack: { tarball: new Uint8Array(content).buffer }, strict: true });
const checked = await checkPackage(createPackageFromTarballData(content), { includeEntrypoints: modules });
const entrypoints = Object.keys(checked.entrypoints ?? {}).length;
console.log(JSON.stringify({ publint: messages, types: checked.types, problems: checked.problems, entrypoints }));
