#!/usr/bin/env node
import * as nodeModule from 'node:module';

// Compiled code is kept between calls where Node.js can (22.8 and newer).
nodeModule.enableCompileCache?.();
const { main, nodeExchange } = await import('../dist/src/cni/index.js');
await main(nodeExchange);
