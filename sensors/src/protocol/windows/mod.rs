//! Protocols of Windows networks: who signs in where and what is asked of which service.

pub(super) mod dcerpc;
pub(super) mod gss;
pub(super) mod kerberos;
pub(super) mod ldap;
pub(super) mod ntlm;
pub(super) mod smb;
