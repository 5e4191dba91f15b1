#!/bin/sh
# Makes the certificates of these tests anew: two authorities, one of which signs a server and a
# client. They are good for a hundred years and for nothing but tests; keys of authorities go.
set -eu
cd "$(dirname "$0")"
new_key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
for authority in authority stranger; do
    openssl req -x509 $new_key -keyout "$authority.key" -out "$authority.pem" -days 36500 \
        -subj "/CN=Fastness tests $authority" -addext "basicConstraints=critical,CA:TRUE" \
        -addext "keyUsage=critical,keyCertSign"
done
for name in server client; do
    openssl req $new_key -keyout "$name.key" -out "$name.csr" -subj "/CN=$name"
    cat > extensions <<'END'
subjectAltName=DNS:localhost,IP:127.0.0.1
basicConstraints=CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
END
    openssl x509 -req -in "$name.csr" -CA authority.pem -CAkey authority.key -CAcreateserial \
        -out "$name.pem" -days 36500 -extfile extensions
done
rm -f authority.key stranger.key authority.srl extensions server.csr client.csr
