/** Kubernetes' binary encoding of built-in objects, as far as clients send it: bodies are read in it, answers are always JSON. Pure. */
export * from './decode.ts';
export { ProtobufError } from './reader.ts';
