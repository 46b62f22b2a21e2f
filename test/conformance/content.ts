import type {
  CallToolResult,
  ElicitRequestFormParams,
  GetPromptResult,
  PromptMessage
} from 'mcp-sdk-upstream/types.js';
import { redPixelPng, silentWav } from './media.js';

export type Properties = ElicitRequestFormParams['requestedSchema']['properties'];

/** The suite wants one of each tool and prompt. */
export const description = 'What the name says';

const image = { type: 'image' as const, data: redPixelPng, mimeType: 'image/png' };

/** What each tool that needs nothing returns. */
export const toolContents: Record<string, CallToolResult['content']> = {
  test_simple_text: [{ type: 'text', text: 'A simple text' }],
  test_image_content: [image],
  test_audio_content: [{ type: 'audio', data: silentWav, mimeType: 'audio/wav' }],
  test_embedded_resource: [
    { type: 'resource', resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'Embedded' } }
  ],
  test_multiple_content_types: [
    { type: 'text', text: 'Three kinds of content' },
    image,
    {
      type: 'resource',
      resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data"}' }
    }
  ]
};

/** The text resources, by their names. */
export const texts = {
  'static-text': 'A text that never changes',
  'watched-resource': 'A text to subscribe to'
};

/** The prompts without arguments. */
export const prompts: Record<string, GetPromptResult> = {
  test_simple_prompt: prompt(textOf('Say something simple')),
  test_prompt_with_image: prompt(image, textOf('Describe the image'))
};

export const embeddedPrompt = (uri: string): GetPromptResult =>
  prompt({ type: 'resource', resource: { uri, mimeType: 'text/plain', text: 'Embedded' } }, textOf('Read the above'));

export const argumentsPrompt = (arg1: string, arg2: string): GetPromptResult =>
  prompt(textOf(`The arguments are '${arg1}' and '${arg2}'`));

/** The completion of an argument. */
export const beginsWith = (value: string): string[] =>
  ['test', 'testing', 'tester'].filter(word => word.startsWith(value));

export const user: Properties = {
  username: { type: 'string', description: "The user's name" },
  email: { type: 'string', description: "The user's address" }
};

/** A default for each primitive type (SEP-1034). */
const withDefaults: Properties = {
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true }
};

const titled = ['First', 'Second', 'Third'].map((title, index) => ({ const: `value${index + 1}`, title }));

/** Each way to write a choice (SEP-1330). */
const choices: Properties = {
  untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  titledSingle: { type: 'string', oneOf: titled },
  legacyEnum: { type: 'string', enum: ['opt1', 'opt2'], enumNames: ['Option One', 'Option Two'] },
  untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
  titledMulti: { type: 'array', items: { anyOf: titled } }
};

/** The form that each tool elicits. */
export const forms: Record<string, Properties> = {
  test_elicitation_sep1034_defaults: withDefaults,
  test_elicitation_sep1330_enums: choices
};

function prompt(...contents: PromptMessage['content'][]): GetPromptResult {
  return { messages: contents.map(content => ({ role: 'user', content })) };
}

function textOf(text: string): PromptMessage['content'] {
  return { type: 'text', text };
}
