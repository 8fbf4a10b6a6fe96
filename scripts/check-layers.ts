/** `npm run lint`'s second half: prints every import that breaks the layering, exits 1 if there is one. */
import { findLayerViolations, readSources } from "./layers.ts";

const sources = await readSources(`${import.meta.dirname}/..`);
const violations = findLayerViolations(sources);
for (const { file, line, message } of violations) process.stderr.write(`${file}:${line} ${message}\n`);
process.stderr.write(`Layers: checked ${sources.length} files, ${violations.length} violations.\n`);
process.exitCode = violations.length > 0 ? 1 : 0;
