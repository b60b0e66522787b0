#!/usr/bin/env php
<?php
// Verify an event that Dispatch sends, by Standard Webhooks v1, without any package.
//
// To try it with a request that arrived:
//
//     WEBHOOK_SECRET=whsec_… php verify.php ID TIMESTAMP SIGNATURE < body

declare(strict_types=1);

const TOLERANCE = 300; // seconds by which the sender's clock may differ

/**
 * Return the event, or throw.
 *
 * @param string $body the raw bytes: file_get_contents('php://input')
 * @param array<string, string> $headers names in lower case:
 *     array_change_key_case(getallheaders(), CASE_LOWER)
 * @param string $secret "whsec_…", shown once when the endpoint was set up
 */
function verify(string $body, array $headers, string $secret, ?int $now = null): array
{
    foreach (['webhook-id', 'webhook-timestamp', 'webhook-signature'] as $name) {
        if (($headers[$name] ?? '') === '') {
            throw new RuntimeException("the header $name is missing");
        }
    }
    $timestamp = $headers['webhook-timestamp'];
    if (!ctype_digit($timestamp)) {
        throw new RuntimeException('the timestamp is no number');
    }
    if (abs(($now ?? time()) - (int) $timestamp) > TOLERANCE) {
        throw new RuntimeException('the timestamp is too old or too new');
    }
    $key = base64_decode((string) preg_replace('/^whsec_/', '', $secret), true);
    if ($key === false) {
        throw new RuntimeException('the secret is not Base64');
    }
    $signed = "{$headers['webhook-id']}.$timestamp.$body";
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', $signed, $key, true));
    // Several while a secret is being changed: one has to fit.
    foreach (explode(' ', $headers['webhook-signature']) as $given) {
        if (hash_equals($expected, $given)) {
            return json_decode($body, true, 512, JSON_THROW_ON_ERROR);
        }
    }
    throw new RuntimeException('no signature fits');
}

if (PHP_SAPI === 'cli' && realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    $headers = [
        'webhook-id' => $argv[1] ?? '',
        'webhook-timestamp' => $argv[2] ?? '',
        'webhook-signature' => $argv[3] ?? '',
    ];
    try {
        $body = (string) file_get_contents('php://stdin');
        $event = verify($body, $headers, (string) getenv('WEBHOOK_SECRET'));
        echo "{$event['type']} {$headers['webhook-id']}\n";
    } catch (Exception $error) {
        fwrite(STDERR, "refused: {$error->getMessage()}\n");
        exit(1);
    }
}
