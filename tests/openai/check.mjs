// Asks a gateway with OpenAI's own client for JavaScript, unmodified.
//
//     node check.mjs URL KEY MODEL
//
// The worker answers with a tiny random model, so what is checked is the form, not the sense.

import assert from 'node:assert/strict';
import OpenAI from 'openai';

const [url, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const messages = [{ role: 'user', content: 'Hello' }];

const checks = {
	async models() {
		const ids = [];
		for await (const listed of client.models.list()) ids.push(listed.id);
		assert(ids.includes(model), ids.join());
		assert.equal((await client.models.retrieve(model)).id, model);
	},

	async chat() {
		const answer = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 12 });
		assert.equal(answer.object, 'chat.completion');
		assert.equal(answer.choices[0].message.role, 'assistant');
		assert.equal(answer.choices[0].openledger.receipt.output_tokens, answer.usage.completion_tokens);
	},

	async stream() {
		const body = { model, messages, temperature: 0, max_tokens: 24 };
		const whole = await client.chat.completions.create(body);
		const stream = client.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
		let text = '';
		stream.on('content', (delta) => (text += delta));
		const last = await stream.finalChatCompletion();
		assert.equal(text, whole.choices[0].message.content);
		assert.equal(last.choices[0].finish_reason, whole.choices[0].finish_reason);
		assert.equal((await stream.totalUsage()).total_tokens, whole.usage.total_tokens);
	},

	async json_mode() {
		const schema = {
			type: 'object',
			properties: { colour: { enum: ['red', 'green'] } },
			required: ['colour'],
			additionalProperties: false,
		};
		const response_format = { type: 'json_schema', json_schema: { name: 'paint', schema, strict: true } };
		const answer = await client.chat.completions.create({ model, messages, max_tokens: 300, response_format });
		assert(['red', 'green'].includes(JSON.parse(answer.choices[0].message.content).colour));
	},

	async completions() {
		const answer = await client.completions.create({
			model,
			prompt: 'Once upon',
			max_tokens: 1,
			echo: true,
			logprobs: 1,
			temperature: 0,
		});
		assert(answer.choices[0].text.startsWith('Once upon'));
		assert.equal(answer.choices[0].logprobs.token_logprobs[0], null);
	},

	async errors() {
		const fails = async (fields, kind, code) => {
			const asking = client.chat.completions.create({ model, messages, max_tokens: 4, ...fields });
			const error = await asking.then(() => assert.fail('it was answered'), (error) => error);
			assert(error instanceof kind, `${error}`);
			assert.equal(error.code, code);
			return error;
		};
		await fails({ model: 'nobody/knows-this' }, OpenAI.NotFoundError, 'model_not_found');
		assert.equal((await fails({ n: -1 }, OpenAI.BadRequestError, null)).param, 'n');
		const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-openledger-nobody', maxRetries: 0 });
		await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
	},

	async cancellation() {
		const endless = { model, messages, max_tokens: 1_500, ignore_eos: true };
		const stream = await client.chat.completions.create({ ...endless, stream: true });
		for await (const chunk of stream) {
			assert.equal(chunk.object, 'chat.completion.chunk');
			break;
		}
		assert(stream.controller.signal.aborted);
		const controller = new AbortController();
		const asking = client.chat.completions.create({ ...endless, n: 8 }, { signal: controller.signal });
		setTimeout(() => controller.abort(), 100);
		await assert.rejects(asking, OpenAI.APIUserAbortError);
		await client.chat.completions.create({ model, messages, max_tokens: 4 });
	},
};

for (const [name, check] of Object.entries(checks)) {
	await check();
	console.log(`  node    ${name}`);
}
