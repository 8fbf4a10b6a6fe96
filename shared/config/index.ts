/** Configuration of the daemons: one JSON document each, checked once, with `CIM_*` overrides. */
export { type CheckedContracts, checkContracts, checkContractsCommand } from "./check-contracts.ts";
export { type CommandResult, checkConfigCommand, printSchema } from "./config-commands.ts";
export { configNotes } from "./config-notes.ts";
export type { ConfigDocument } from "./config-schema.ts";
export { ContractChangeRefused } from "./contract-change-refused.ts";
export type { Config } from "./derived.ts";
export type { Environment } from "./environment.ts";
export { ConfigError, type Fault, faultLine } from "./faults.ts";
export { type HostPort, hostPortOfUrl, parseHostPort } from "./host-port.ts";
export { type CheckedConfig, checkConfig, checkDocument, loadConfig, parseConfig } from "./load-config.ts";
export { readContracts } from "./read-contracts.ts";
