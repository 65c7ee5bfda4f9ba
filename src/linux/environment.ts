const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/**
 * The environment for system commands: their folders come first in PATH, because npm puts
 * `node_modules/.bin` there, which may contain another program of that name (an `nft`, for
 * example), and services often run without the sbin folders.
 */
export function systemEnvironment(): NodeJS.ProcessEnv {
	return { ...process.env, PATH: [...systemFolders, process.env['PATH'] ?? ''].join(':') };
}
