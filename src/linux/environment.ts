const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/**
 * The environment for the system's own commands: its folders come first in PATH, because npm puts `node_modules/.bin`
 * there, which may hold another program of that name (an `nft`, for one), and services often run without the sbin ones.
 */
export function systemEnvironment(): NodeJS.ProcessEnv {
	return { ...process.env, PATH: [...systemFolders, process.env['PATH'] ?? ''].join(':') };
}
