"""A real broker with TLS, users and ACLs, and the certificates that it takes."""

import datetime as dt
import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialUpsertion,
)

from deploy.services.kafka_real import BrokerOptions, RealKafka
from deploy.services.ports import free_ports
from deploy.settings import DeploySettings

USER, PASSWORD = "worker", "s3cret-of-the-worker"
#: Who the client certificates name.
SUBJECT = "worker-with-certificate"
KEY_PASSWORD = "s3cret-of-the-key"
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
Settings = dict[str, str]
_DAY = dt.timedelta(days=1)


class Authority:
    """Signs certificates and lays them down as PEM files."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(self._name, self._key, days=30)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256())
        self.file = self._write(f"{name.replace(' ', '-')}.pem", _pem(self.certificate))

    def issue(self, name: str, *, days: int = 30, password: str | None = None) -> tuple[Path, Path]:
        """Files of a certificate for 127.0.0.1 (no host name) and of its key; negative `days`: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = self._builder(subject, key, days).add_extension(address, critical=False)
        certificate = builder.add_extension(usage, critical=False).sign(self._key, hashes.SHA256())
        file = f"{name}{days}"
        return self._write(f"{file}.crt", _pem(certificate)), self._write(f"{file}.key", _key_pem(key, password))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - 40 * _DAY,
            not_valid_after=now + days * _DAY,
        )

    def _write(self, name: str, data: bytes) -> Path:
        file = self._folder / name
        file.write_bytes(data)
        return file


@dataclass(frozen=True)
class Rule:
    """One ACL in short: what may be done to what."""

    kind: str
    name: str
    operation: str

    def acl(self, principal: str) -> ACL:
        return ACL(
            principal, "*", ACLOperation[self.operation], ACLPermissionType.ALLOW, self._pattern(ResourcePattern)
        )

    def filter(self, principal: str) -> ACLFilter:
        allow = ACLPermissionType.ALLOW
        return ACLFilter(principal, "*", ACLOperation[self.operation], allow, self._pattern(ResourcePatternFilter))

    def _pattern(self, kind: type) -> ResourcePatternFilter:
        return kind(ResourceType[self.kind], self.name, ACLResourcePatternType.LITERAL)


class SecureKafka:
    """One broker: a plain listener for the test, which may do everything; SASL_SSL and SSL ones for those it tests."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self._folder = folder
        self._sasl_port, self._ssl_port = free_ports(2)
        options = BrokerOptions(
            listeners={"SASL_SSL": self._sasl_port, "SSL": self._ssl_port},
            properties=self._properties(),
            format=[f"--add-scram={m}=[name={USER},password={PASSWORD}]" for m in _SCRAM],
        )
        self.broker = RealKafka(folder / "kafka", {}, DeploySettings(), options=options)

    @property
    def bootstrap(self) -> str:
        """The plain listener."""
        return self.broker.bootstrap

    def sasl(self, mechanism: str = "SCRAM-SHA-512", password: str = PASSWORD, host: str = "127.0.0.1") -> Settings:
        """Settings of a consumer that logs in."""
        return {
            "bootstrap": f"{host}:{self._sasl_port}",
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": mechanism,
            "sasl_username": USER,
            "sasl_password": password,
            "ssl_cafile": str(self.authority.file),
        }

    def mtls(self, certificate: tuple[Path, Path] | None) -> Settings:
        """Settings of a consumer that shows this certificate."""
        files = map(str, certificate or ())
        return {
            "bootstrap": f"127.0.0.1:{self._ssl_port}",
            "security_protocol": "SSL",
            "ssl_cafile": str(self.authority.file),
            **dict(zip(("ssl_certfile", "ssl_keyfile"), files, strict=False)),
        }

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        """May do everything."""
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            yield admin

    def allow(self, rules: Iterable[Rule], user: str = USER) -> None:
        """Give these rights."""
        with self._admin() as admin:
            answer = admin.create_acls([rule.acl(f"User:{user}") for rule in rules])
        assert not answer["failed"], answer

    def forbid(self, rules: Iterable[Rule], user: str = USER) -> None:
        """Take these rights away."""
        with self._admin() as admin:
            admin.delete_acls([rule.filter(f"User:{user}") for rule in rules])

    def set_password(self, password: str, user: str = USER) -> None:
        """From the next login on."""
        for mechanism in _SCRAM:
            # In one request the broker would refuse both.
            wanted = UserScramCredentialUpsertion(user, mechanism, password)
            with self._admin() as admin:
                assert admin.alter_user_scram_credentials([wanted]) == {user: None}

    def start(self) -> None:
        """Start the broker."""
        self.broker.start()

    def stop(self) -> None:
        """Stop the broker."""
        self.broker.stop()

    def _properties(self) -> dict[str, object]:
        certificate, key = self.authority.issue("broker")
        store = self._folder / "broker.pem"
        store.write_bytes(key.read_bytes() + certificate.read_bytes())
        login = f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}"'
        plain = f"org.apache.kafka.common.security.plain.PlainLoginModule required {login};"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": store,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority.file,
            "ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/",
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": plain,
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # The plain listeners: the test and the controller.
            "super.users": "User:ANONYMOUS",
        }


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey, password: str | None) -> bytes:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    if password is None:
        return key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    return key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(password.encode()))
