"""The contracts between the core and everything replaceable: Protocols and frozen dataclasses."""

from clawdeploy.core.contracts.account import AccountSection
from clawdeploy.core.contracts.activity import Activity
from clawdeploy.core.contracts.auth import AuthProvider, CredentialRecord, Credentials, CredentialStore, Identity
from clawdeploy.core.contracts.blueprint import Blueprint, Bot
from clawdeploy.core.contracts.call import Call, call_of, documented
from clawdeploy.core.contracts.channel import Channel, CredentialField, CredentialForm
from clawdeploy.core.contracts.container import (
    MISSING,
    ContainerSpec,
    ContainerState,
    Limits,
    Observation,
    Probe,
    SecretFile,
    SeededFile,
    Volume,
)
from clawdeploy.core.contracts.instance import Instance, Operation, Status, Wish
from clawdeploy.core.contracts.platform import Access, Opener, Platform, Route
from clawdeploy.core.contracts.question import Question
from clawdeploy.core.contracts.runtime import EngineInfo, Holding, Room, Runtime
from clawdeploy.core.contracts.secret import Secret
from clawdeploy.core.contracts.sign_in import Reception, Script, SignIn, Visit, without_parameters

__all__ = [
    "MISSING",
    "Access",
    "AccountSection",
    "Activity",
    "AuthProvider",
    "Blueprint",
    "Bot",
    "Call",
    "Channel",
    "ContainerSpec",
    "ContainerState",
    "CredentialField",
    "CredentialForm",
    "CredentialRecord",
    "CredentialStore",
    "Credentials",
    "EngineInfo",
    "Holding",
    "Identity",
    "Instance",
    "Limits",
    "Observation",
    "Opener",
    "Operation",
    "Platform",
    "Probe",
    "Question",
    "Reception",
    "Room",
    "Route",
    "Runtime",
    "Script",
    "Secret",
    "SecretFile",
    "SeededFile",
    "SignIn",
    "Status",
    "Visit",
    "Volume",
    "Wish",
    "call_of",
    "documented",
    "without_parameters",
]
