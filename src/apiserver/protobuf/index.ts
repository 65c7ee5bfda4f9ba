/**
 * Kubernetes' binary encoding of built-in objects. Only request bodies are decoded; responses are
 * JSON or YAML. Pure.
 */
export * from './decode.ts';
export { ProtobufError } from './reader.ts';
