import { appendFileSync } from "node:fs";
import { connectCim } from "../../shared/client/connect-cim.ts";

// A program that reads under a durable name, for tests that kill it: <url> <name> <file>
const [url, durable, file] = process.argv.slice(2) as [string, string, string];

await using cim = await connectCim({ url });
const reader = cim.subscribe({ durable });
for await (const event of reader) {
  appendFileSync(file, `${event.id}\n`);
  await reader.save(event);
}
