/** A sign of life. RFC 4271 §4.4. */
export interface KeepaliveMessage {
	readonly type: 'keepalive';
}
