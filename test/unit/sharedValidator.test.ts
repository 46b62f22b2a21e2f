import { jest } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { AjvJsonSchemaValidator } from 'mcp-sdk-upstream/validation/ajv-provider.js';
import type { JsonSchemaType } from 'mcp-sdk-upstream/validation/types.js';
import { SharedJsonSchemaValidator } from '../../src/handler/sharedValidator.js';
import { collectGarbage } from '../support/pods/collectGarbage.js';

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more }) as JsonSchemaType;

describe('the validator that the servers of a pod share', () => {
  it("accepts, refuses and explains like the SDK's own", () => {
    const shared = new SharedJsonSchemaValidator(() => new AjvJsonSchemaValidator());
    const schemas = [
      object({ name: { type: 'string', minLength: 2 } }, { required: ['name'] }),
      object({ mail: { type: 'string', format: 'email' }, size: { type: 'integer', enum: [1, 2] } })
    ];
    for (const schema of schemas) {
      const validate = shared.getValidator(schema);
      const own = new AjvJsonSchemaValidator().getValidator(schema);
      for (const input of [{ name: 'x' }, { name: 'xy' }, {}, { mail: 'no' }, { mail: 'a@b.example', size: 3 }, null]) {
        expect(validate(input)).toEqual(own(input));
      }
    }
  });

  it('compiles a schema once, even if each server creates it again', () => {
    const shared = new SharedJsonSchemaValidator(() => new AjvJsonSchemaValidator());
    const make = () => object({ a: { type: 'string' } });
    expect(shared.getValidator(make())).toBe(shared.getValidator(make()));
  });

  it('keeps schemas of the same name apart', () => {
    const shared = new SharedJsonSchemaValidator(() => new AjvJsonSchemaValidator());
    const named = (type: string) => object({ a: { type } }, { $id: 'https://example.com/form' });
    expect(shared.getValidator(named('string'))({ a: 'x' }).valid).toBe(true);
    expect(shared.getValidator(named('number'))({ a: 'x' }).valid).toBe(false);
    expect(shared.getValidator(named('number'))({ a: 1 }).valid).toBe(true);
  });

  it('notices that the caller has changed a schema', () => {
    const shared = new SharedJsonSchemaValidator(() => new AjvJsonSchemaValidator());
    const schema = { type: 'object', properties: { a: { type: 'string' } } };
    expect(shared.getValidator(schema as JsonSchemaType)({ a: 1 }).valid).toBe(false);
    schema.properties.a.type = 'number';
    expect(shared.getValidator(schema as JsonSchemaType)({ a: 1 }).valid).toBe(true);
  });

  it('forgets old schemas if servers keep making new ones', () => {
    const shared = new SharedJsonSchemaValidator(() => new AjvJsonSchemaValidator());
    const first = shared.getValidator(object({ a: { const: 0 } }));
    for (let i = 1; i <= 200; i++) shared.getValidator(object({ a: { const: i } }));
    expect(shared.getValidator(object({ a: { const: 0 } }))).not.toBe(first);
  });

  it('does not generate code where the runtime forbids it, and decides like the one that does', () => {
    const script = `
      import { SharedJsonSchemaValidator } from './src/handler/sharedValidator.ts';
      const shared = new SharedJsonSchemaValidator(() => { throw new Error('it generates code'); });
      await shared.prepare();
      const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
      const validate = shared.getValidator(schema);
      console.log(JSON.stringify([{ name: 'x' }, { name: 1 }, {}].map(input => validate(input))));`;
    const args = ['--disallow-code-generation-from-strings', '--import', 'tsx', '--input-type=module', '-e', script];
    const [good, wrong, missing] = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as {
      valid: boolean;
      errorMessage?: string;
    }[];
    expect(good).toEqual({ valid: true, data: { name: 'x' } });
    expect(wrong).toMatchObject({ valid: false, errorMessage: expect.stringContaining('#/name') as string });
    expect(missing).toMatchObject({ valid: false, errorMessage: expect.stringContaining('name') as string });
  });

  it('refuses a schema that cannot be compiled, like the SDK', () => {
    const broken = object({ a: { $ref: '#/nowhere' } });
    expect(() => new AjvJsonSchemaValidator().getValidator(broken)).toThrow();
    expect(() => new SharedJsonSchemaValidator(() => new AjvJsonSchemaValidator()).getValidator(broken)).toThrow();
  });

  it('keeps nothing of a schema that cannot be compiled, however often it is used', async () => {
    const compiled: WeakRef<object>[] = [];
    const parse = JSON.parse;
    jest.spyOn(JSON, 'parse').mockImplementation(text => {
      const schema = parse(text) as object;
      compiled.push(new WeakRef(schema));
      return schema;
    });
    const shared = new SharedJsonSchemaValidator(() => new AjvJsonSchemaValidator());
    for (let i = 0; i < 20; i++) expect(() => shared.getValidator(object({ a: { pattern: '(' } }))).toThrow();
    jest.restoreAllMocks();
    // A weak reference holds what it was made for until the end of the turn.
    await new Promise(setImmediate);
    collectGarbage();
    expect(compiled).toHaveLength(20);
    expect(compiled.filter(schema => schema.deref() !== undefined)).toEqual([]);
  });
});
