//! Interfaces that matter in attacks, by UUID, and their operations, by number (from the MS-xxx document that stands above).
//!
//! In: a UUID and a number. Out: names. Memory: the table.

/// An interface.
#[derive(Debug)]
pub(super) struct Interface {
    uuid: &'static str,
    pub(super) name: &'static str,
    /// First number and names of each run of operations that follow one another.
    operations: &'static [(u16, &'static [&'static str])],
}

impl Interface {
    /// The name of an operation.
    pub(super) fn operation(&self, opnum: u16) -> Option<&'static str> {
        let named = |(first, names): &(u16, &'static [&'static str])| {
            names.get(usize::from(opnum.checked_sub(*first)?)).copied()
        };
        self.operations.iter().find_map(named)
    }
}

/// The interface of a UUID in lower case.
pub(super) fn find(uuid: &str) -> Option<&'static Interface> {
    INTERFACES.iter().find(|interface| interface.uuid == uuid)
}

const fn i(
    uuid: &'static str,
    name: &'static str,
    operations: &'static [(u16, &'static [&'static str])],
) -> Interface {
    Interface { uuid, name, operations }
}

/// Methods of objects begin at 3, behind those that every object has (MS-DCOM, 3.1.1.5.4).
#[rustfmt::skip]
static INTERFACES: &[Interface] = &[
    // C706, appendix O.
    i("e1af8308-5d1f-11c9-91a4-08002b14a0fa", "epmapper", &[(0, &["ept_insert", "ept_delete", "ept_lookup", "ept_map", "ept_lookup_handle_free", "ept_inq_object", "ept_mgmt_delete"])]),
    i("afa8bd80-7d8a-11c9-bef4-08002b102989", "mgmt", &[(0, &["inq_if_ids", "inq_stats", "is_server_listening", "stop_server_listening", "inq_princ_name"])]),
    // MS-DSSP.
    i("3919286a-b10c-11d0-9ba8-00c04fd92ef5", "dssetup", &[(0, &["DsRolerGetPrimaryDomainInformation"])]),
    // MS-DRSR.
    i("e3514235-4b06-11d1-ab04-00c04fc2dcd2", "drsuapi", &[(0, &["DRSBind", "DRSUnbind", "DRSReplicaSync", "DRSGetNCChanges", "DRSUpdateRefs", "DRSReplicaAdd", "DRSReplicaDel", "DRSReplicaModify", "DRSVerifyNames", "DRSGetMemberships", "DRSInterDomainMove", "DRSGetNT4ChangeLog", "DRSCrackNames", "DRSWriteSPN", "DRSRemoveDsServer", "DRSRemoveDsDomain", "DRSDomainControllerInfo", "DRSAddEntry", "DRSExecuteKCC", "DRSGetReplInfo", "DRSAddSidHistory", "DRSGetMemberships2", "DRSReplicaVerifyObjects", "DRSGetObjectExistence", "DRSQuerySitesByCost", "DRSInitDemotion", "DRSReplicaDemotion", "DRSFinishDemotion", "DRSAddCloneDC"])]),
    // MS-LSAD and MS-LSAT.
    i("12345778-1234-abcd-ef00-0123456789ab", "lsarpc", &[
        (0, &["LsarClose"]), (2, &["LsarEnumeratePrivileges", "LsarQuerySecurityObject", "LsarSetSecurityObject"]),
        (6, &["LsarOpenPolicy", "LsarQueryInformationPolicy", "LsarSetInformationPolicy"]),
        (10, &["LsarCreateAccount", "LsarEnumerateAccounts", "LsarCreateTrustedDomain", "LsarEnumerateTrustedDomains", "LsarLookupNames", "LsarLookupSids", "LsarCreateSecret", "LsarOpenAccount", "LsarEnumeratePrivilegesAccount", "LsarAddPrivilegesToAccount", "LsarRemovePrivilegesFromAccount"]),
        (23, &["LsarGetSystemAccessAccount", "LsarSetSystemAccessAccount", "LsarOpenTrustedDomain", "LsarQueryInfoTrustedDomain", "LsarSetInformationTrustedDomain", "LsarOpenSecret", "LsarSetSecret", "LsarQuerySecret", "LsarLookupPrivilegeValue", "LsarLookupPrivilegeName", "LsarLookupPrivilegeDisplayName", "LsarDeleteObject", "LsarEnumerateAccountsWithUserRight", "LsarEnumerateAccountRights", "LsarAddAccountRights", "LsarRemoveAccountRights", "LsarQueryTrustedDomainInfo", "LsarSetTrustedDomainInfo", "LsarDeleteTrustedDomain", "LsarStorePrivateData", "LsarRetrievePrivateData", "LsarOpenPolicy2", "LsarGetUserName", "LsarQueryInformationPolicy2", "LsarSetInformationPolicy2", "LsarQueryTrustedDomainInfoByName", "LsarSetTrustedDomainInfoByName", "LsarEnumerateTrustedDomainsEx", "LsarCreateTrustedDomainEx"]),
        (53, &["LsarQueryDomainInformationPolicy", "LsarSetDomainInformationPolicy", "LsarOpenTrustedDomainByName"]),
        (57, &["LsarLookupSids2", "LsarLookupNames2", "LsarCreateTrustedDomainEx2"]),
        (68, &["LsarLookupNames3"]), (73, &["LsarQueryForestTrustInformation", "LsarSetForestTrustInformation"]), (76, &["LsarLookupSids3", "LsarLookupNames4"]),
    ]),
    // MS-SAMR.
    i("12345778-1234-abcd-ef00-0123456789ac", "samr", &[
        (0, &["SamrConnect", "SamrCloseHandle", "SamrSetSecurityObject", "SamrQuerySecurityObject"]),
        (5, &["SamrLookupDomainInSamServer", "SamrEnumerateDomainsInSamServer", "SamrOpenDomain", "SamrQueryInformationDomain", "SamrSetInformationDomain", "SamrCreateGroupInDomain", "SamrEnumerateGroupsInDomain", "SamrCreateUserInDomain", "SamrEnumerateUsersInDomain", "SamrCreateAliasInDomain", "SamrEnumerateAliasesInDomain", "SamrGetAliasMembership", "SamrLookupNamesInDomain", "SamrLookupIdsInDomain", "SamrOpenGroup", "SamrQueryInformationGroup", "SamrSetInformationGroup", "SamrAddMemberToGroup", "SamrDeleteGroup", "SamrRemoveMemberFromGroup", "SamrGetMembersInGroup", "SamrSetMemberAttributesOfGroup", "SamrOpenAlias", "SamrQueryInformationAlias", "SamrSetInformationAlias", "SamrDeleteAlias", "SamrAddMemberToAlias", "SamrRemoveMemberFromAlias", "SamrGetMembersInAlias", "SamrOpenUser", "SamrDeleteUser", "SamrQueryInformationUser", "SamrSetInformationUser", "SamrChangePasswordUser", "SamrGetGroupsForUser", "SamrQueryDisplayInformation", "SamrGetDisplayEnumerationIndex"]),
        (44, &["SamrGetUserDomainPasswordInformation", "SamrRemoveMemberFromForeignDomain", "SamrQueryInformationDomain2", "SamrQueryInformationUser2", "SamrQueryDisplayInformation2", "SamrGetDisplayEnumerationIndex2", "SamrCreateUser2InDomain", "SamrQueryDisplayInformation3", "SamrAddMultipleMembersToAlias", "SamrRemoveMultipleMembersFromAlias", "SamrOemChangePasswordUser2", "SamrUnicodeChangePasswordUser2", "SamrGetDomainPasswordInformation", "SamrConnect2", "SamrSetInformationUser2"]),
        (62, &["SamrConnect4"]), (64, &["SamrConnect5", "SamrRidToSid", "SamrSetDSRMPassword", "SamrValidatePassword"]), (73, &["SamrUnicodeChangePasswordUser4"]),
    ]),
    // MS-NRPC.
    i("12345678-1234-abcd-ef00-01234567cffb", "netlogon", &[(0, &["NetrLogonUasLogon", "NetrLogonUasLogoff", "NetrLogonSamLogon", "NetrLogonSamLogoff", "NetrServerReqChallenge", "NetrServerAuthenticate", "NetrServerPasswordSet", "NetrDatabaseDeltas", "NetrDatabaseSync", "NetrAccountDeltas", "NetrAccountSync", "NetrGetDCName", "NetrLogonControl", "NetrGetAnyDCName", "NetrLogonControl2", "NetrServerAuthenticate2", "NetrDatabaseSync2", "NetrDatabaseRedo", "NetrLogonControl2Ex", "NetrEnumerateTrustedDomains", "DsrGetDcName", "NetrLogonGetCapabilities", "NetrLogonSetServiceBits", "NetrLogonGetTrustRid", "NetrLogonComputeServerDigest", "NetrLogonComputeClientDigest", "NetrServerAuthenticate3", "DsrGetDcNameEx", "DsrGetSiteName", "NetrLogonGetDomainInfo", "NetrServerPasswordSet2", "NetrServerPasswordGet", "NetrLogonSendToSam", "DsrAddressToSiteNamesW", "DsrGetDcNameEx2", "NetrLogonGetTimeServiceParentDomain", "NetrEnumerateTrustedDomainsEx", "DsrAddressToSiteNamesExW", "DsrGetDcSiteCoverageW", "NetrLogonSamLogonEx", "DsrEnumerateDomainTrusts", "DsrDeregisterDnsHostRecords", "NetrServerTrustPasswordsGet", "DsrGetForestTrustInformation", "NetrGetForestTrustInformation", "NetrLogonSamLogonWithFlags", "NetrServerGetTrustInfo"])]),
    // MS-SCMR.
    i("367abb81-9844-35f1-ad32-98f038001003", "svcctl", &[
        (0, &["CloseServiceHandle", "ControlService", "DeleteService", "LockServiceDatabase", "QueryServiceObjectSecurity", "SetServiceObjectSecurity", "QueryServiceStatus", "SetServiceStatus", "UnlockServiceDatabase", "NotifyBootConfigStatus"]),
        (11, &["ChangeServiceConfigW", "CreateServiceW", "EnumDependentServicesW", "EnumServicesStatusW", "OpenSCManagerW", "OpenServiceW", "QueryServiceConfigW", "QueryServiceLockStatusW", "StartServiceW", "GetServiceDisplayNameW", "GetServiceKeyNameW"]),
        (23, &["ChangeServiceConfigA", "CreateServiceA", "EnumDependentServicesA", "EnumServicesStatusA", "OpenSCManagerA", "OpenServiceA", "QueryServiceConfigA", "QueryServiceLockStatusA", "StartServiceA", "GetServiceDisplayNameA", "GetServiceKeyNameA"]),
        (35, &["EnumServiceGroupW", "ChangeServiceConfig2A", "ChangeServiceConfig2W", "QueryServiceConfig2A", "QueryServiceConfig2W", "QueryServiceStatusEx", "EnumServicesStatusExA", "EnumServicesStatusExW"]),
        (44, &["CreateServiceWOW64A", "CreateServiceWOW64W"]), (51, &["ControlServiceExW"]), (60, &["CreateWowService"]), (64, &["OpenSCManager2"]),
    ]),
    // MS-TSCH.
    i("1ff70682-0a51-30e8-076d-740be8cee98b", "atsvc", &[(0, &["NetrJobAdd", "NetrJobDel", "NetrJobEnum", "NetrJobGetInfo"])]),
    i("378e52b0-c0a9-11cf-822d-00aa0051e40f", "sasec", &[(0, &["SASetAccountInformation", "SASetNSAccountInformation", "SAGetNSAccountInformation", "SAGetAccountInformation"])]),
    i("86d35949-83c9-4044-b424-db363231fd0c", "ITaskSchedulerService", &[(0, &["SchRpcHighestVersion", "SchRpcRegisterTask", "SchRpcRetrieveTask", "SchRpcCreateFolder", "SchRpcSetSecurity", "SchRpcGetSecurity", "SchRpcEnumFolders", "SchRpcEnumTasks", "SchRpcEnumInstances", "SchRpcGetInstanceInfo", "SchRpcStopInstance", "SchRpcStop", "SchRpcRun", "SchRpcDelete", "SchRpcRename", "SchRpcScheduledRuntimes", "SchRpcGetLastRunInfo", "SchRpcGetTaskInfo", "SchRpcGetNumberOfMissedRuns", "SchRpcEnableTask"])]),
    // MS-RRP.
    i("338cd001-2244-31f1-aaaa-900038001003", "winreg", &[
        (0, &["OpenClassesRoot", "OpenCurrentUser", "OpenLocalMachine", "OpenPerformanceData", "OpenUsers", "BaseRegCloseKey", "BaseRegCreateKey", "BaseRegDeleteKey", "BaseRegDeleteValue", "BaseRegEnumKey", "BaseRegEnumValue", "BaseRegFlushKey", "BaseRegGetKeySecurity", "BaseRegLoadKey"]),
        (15, &["BaseRegOpenKey", "BaseRegQueryInfoKey", "BaseRegQueryValue", "BaseRegReplaceKey", "BaseRegRestoreKey", "BaseRegSaveKey", "BaseRegSetKeySecurity", "BaseRegSetValue", "BaseRegUnLoadKey"]),
        (26, &["BaseRegGetVersion", "OpenCurrentConfig"]), (29, &["BaseRegQueryMultipleValues"]),
        (31, &["BaseRegSaveKeyEx", "OpenPerformanceText", "OpenPerformanceNlsText", "BaseRegQueryMultipleValues2", "BaseRegDeleteKeyEx"]),
    ]),
    // MS-SRVS.
    i("4b324fc8-1670-01d3-1278-5a47bf6ee188", "srvsvc", &[
        (8, &["NetrConnectionEnum", "NetrFileEnum", "NetrFileGetInfo", "NetrFileClose", "NetrSessionEnum", "NetrSessionDel", "NetrShareAdd", "NetrShareEnum", "NetrShareGetInfo", "NetrShareSetInfo", "NetrShareDel", "NetrShareDelSticky", "NetrShareCheck", "NetrServerGetInfo", "NetrServerSetInfo", "NetrServerDiskEnum", "NetrServerStatisticsGet", "NetrServerTransportAdd", "NetrServerTransportEnum", "NetrServerTransportDel", "NetrRemoteTOD"]),
        (30, &["NetprPathType", "NetprPathCanonicalize", "NetprPathCompare", "NetprNameValidate", "NetprNameCanonicalize", "NetprNameCompare", "NetrShareEnumSticky", "NetrShareDelStart", "NetrShareDelCommit", "NetrpGetFileSecurity", "NetrpSetFileSecurity"]),
    ]),
    // MS-WKST.
    i("6bffd098-a112-3610-9833-46c3f87e345a", "wkssvc", &[(0, &["NetrWkstaGetInfo", "NetrWkstaSetInfo", "NetrWkstaUserEnum"]), (5, &["NetrWkstaTransportEnum", "NetrWkstaTransportAdd", "NetrWkstaTransportDel", "NetrUseAdd", "NetrUseGetInfo", "NetrUseDel", "NetrUseEnum"]), (13, &["NetrWorkstationStatisticsGet"]), (20, &["NetrGetJoinInformation"]), (22, &["NetrJoinDomain2", "NetrUnjoinDomain2", "NetrRenameMachineInDomain2", "NetrValidateName2"])]),
    // MS-RPRN.
    i("12345678-1234-abcd-ef00-0123456789ab", "spoolss", &[
        (0, &["RpcEnumPrinters", "RpcOpenPrinter", "RpcSetJob", "RpcGetJob", "RpcEnumJobs", "RpcAddPrinter", "RpcDeletePrinter", "RpcSetPrinter", "RpcGetPrinter", "RpcAddPrinterDriver", "RpcEnumPrinterDrivers", "RpcGetPrinterDriver", "RpcGetPrinterDriverDirectory", "RpcDeletePrinterDriver"]),
        (29, &["RpcClosePrinter"]), (62, &["RpcRemoteFindFirstPrinterChangeNotification"]), (65, &["RpcRemoteFindFirstPrinterChangeNotificationEx"]),
        (69, &["RpcOpenPrinterEx", "RpcAddPrinterEx"]), (89, &["RpcAddPrinterDriverEx"]),
    ]),
    // MS-PAR.
    i("76f03f96-cdfd-44fc-a22c-64950a001209", "IRemoteWinspool", &[(0, &["RpcAsyncOpenPrinter", "RpcAsyncAddPrinter"]), (38, &["RpcAsyncEnumPrinters", "RpcAsyncAddPrinterDriver"])]),
    // MS-EFSR, over two pipes.
    i("c681d488-d850-11d0-8c52-00c04fd90f7e", "efsrpc", EFS),
    i("df1941c5-fe89-4e79-bf10-463657acf44d", "efsrpc", EFS),
    // MS-FSRVP and MS-DFSNM.
    i("a8e0653c-2744-4389-a61d-7373df8b2292", "FileServerVssAgent", &[(0, &["GetSupportedVersion", "SetContext", "StartShadowCopySet", "AddToShadowCopySet", "CommitShadowCopySet", "ExposeShadowCopySet", "RecoveryCompleteShadowCopySet", "AbortShadowCopySet", "IsPathSupported", "IsPathShadowCopied", "GetShareMapping", "DeleteShareMapping", "PrepareShadowCopySet"])]),
    i("4fc742e0-4a10-11cf-8273-00aa004ae673", "netdfs", &[(0, &["NetrDfsManagerGetVersion", "NetrDfsAdd", "NetrDfsRemove", "NetrDfsSetInfo", "NetrDfsGetInfo", "NetrDfsEnum"]), (10, &["NetrDfsAddFtRoot", "NetrDfsRemoveFtRoot", "NetrDfsAddStdRoot", "NetrDfsRemoveStdRoot"]), (21, &["NetrDfsEnumEx"])]),
    // MS-EVEN and MS-EVEN6.
    i("82273fdc-e32a-18c3-3f78-827929dc23ea", "eventlog", &[(0, &["ElfrClearELFW", "ElfrBackupELFW", "ElfrCloseEL", "ElfrDeregisterEventSource", "ElfrNumberOfRecords", "ElfrOldestRecord", "ElfrChangeNotify", "ElfrOpenELW", "ElfrRegisterEventSourceW", "ElfrOpenBELW", "ElfrReadELW", "ElfrReportEventW"])]),
    i("f6beaff7-1e19-4fbb-9f8f-b89e2018337c", "IEventService", &[(0, &["EvtRpcRegisterRemoteSubscription", "EvtRpcRemoteSubscriptionNextAsync", "EvtRpcRemoteSubscriptionNext", "EvtRpcRemoteSubscriptionWaitAsync", "EvtRpcRegisterControllableOperation", "EvtRpcRegisterLogQuery", "EvtRpcClearLog", "EvtRpcExportLog"])]),
    // MS-BRWSA.
    i("6bffd098-a112-3610-9833-012892020162", "browser", &[(0, &["I_BrowserrServerEnum", "I_BrowserrDebugCall", "I_BrowserrQueryOtherDomains", "I_BrowserrResetNetlogonState", "I_BrowserrDebugTrace", "I_BrowserrQueryStatistics"])]),
    // MS-DCOM.
    i("99fcfec4-5260-101b-bbcb-00aa0021347a", "IOXIDResolver", &[(0, &["ResolveOxid", "SimplePing", "ComplexPing", "ServerAlive", "ResolveOxid2", "ServerAlive2"])]),
    i("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57", "IRemoteActivation", &[(0, &["RemoteActivation"])]),
    i("000001a0-0000-0000-c000-000000000046", "IRemoteSCMActivator", &[(3, &["RemoteGetClassObject", "RemoteCreateInstance"])]),
    i("00000143-0000-0000-c000-000000000046", "IRemUnknown2", &[(3, &["RemQueryInterface", "RemAddRef", "RemRelease", "RemQueryInterface2"])]),
    i("00000131-0000-0000-c000-000000000046", "IRemUnknown", &[(3, &["RemQueryInterface", "RemAddRef", "RemRelease"])]),
    i("00020400-0000-0000-c000-000000000046", "IDispatch", &[(3, &["GetTypeInfoCount", "GetTypeInfo", "GetIDsOfNames", "Invoke"])]),
    // MS-WMI.
    i("f309ad18-d86a-11d0-a075-00c04fb68820", "IWbemLevel1Login", &[(3, &["EstablishPosition", "RequestChallenge", "WBEMLogin", "NTLMLogin"])]),
    i("d4781cd6-e5d3-44df-ad94-930efe48a887", "IWbemLoginClientID", &[(3, &["SetClientInfo"])]),
    i("9556dc99-828c-11cf-a37e-00aa003240c7", "IWbemServices", &[(3, &["OpenNamespace", "CancelAsyncCall", "QueryObjectSink", "GetObject", "GetObjectAsync", "PutClass", "PutClassAsync", "DeleteClass", "DeleteClassAsync", "CreateClassEnum", "CreateClassEnumAsync", "PutInstance", "PutInstanceAsync", "DeleteInstance", "DeleteInstanceAsync", "CreateInstanceEnum", "CreateInstanceEnumAsync", "ExecQuery", "ExecQueryAsync", "ExecNotificationQuery", "ExecNotificationQueryAsync", "ExecMethod", "ExecMethodAsync"])]),
    i("027947e1-d731-11ce-a357-000000000001", "IEnumWbemClassObject", &[(3, &["Reset", "Next", "NextAsync", "Clone", "Skip"])]),
    i("1c1c45ee-4395-11d2-b60b-00104b703efd", "IWbemFetchSmartEnum", &[(3, &["GetSmartEnum"])]),
    i("423ec01e-2e35-11d2-b604-00104b703efd", "IWbemWCOSmartEnum", &[(3, &["Next"])]),
    // MS-ICPR, MS-BKRP, MS-GKDI.
    i("91ae6020-9e3c-11cf-8d7c-00aa00c091be", "ICertPassage", &[(0, &["CertServerRequest"])]),
    i("3dde7c30-165d-11d1-ab8f-00805f14db40", "BackupKey", &[(0, &["BackuprKey"])]),
    i("b9785960-524f-11df-8b6d-83dcded72085", "ISDKey", &[(0, &["GetKey"])]),
];

/// MS-EFSR, 3.1.4.2.
#[rustfmt::skip]
const EFS: &[(u16, &[&str])] = &[(0, &["EfsRpcOpenFileRaw", "EfsRpcReadFileRaw", "EfsRpcWriteFileRaw", "EfsRpcCloseRaw", "EfsRpcEncryptFileSrv", "EfsRpcDecryptFileSrv", "EfsRpcQueryUsersOnFile", "EfsRpcQueryRecoveryAgents", "EfsRpcRemoveUsersFromFile", "EfsRpcAddUsersToFile"]), (12, &["EfsRpcFileKeyInfo", "EfsRpcDuplicateEncryptionInfoFile"]), (15, &["EfsRpcAddUsersToFileEx", "EfsRpcFileKeyInfoEx"])];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_by_number() {
        let named = |uuid, opnum| find(uuid).and_then(|interface| interface.operation(opnum));
        assert_eq!(named("e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3), Some("ept_map"));
        assert_eq!(named("12345778-1234-abcd-ef00-0123456789ab", 44), Some("LsarOpenPolicy2"));
        assert_eq!(named("12345778-1234-abcd-ef00-0123456789ac", 64), Some("SamrConnect5"));
        assert_eq!(named("12345678-1234-abcd-ef00-01234567cffb", 30), Some("NetrServerPasswordSet2"));
        assert_eq!(named("4b324fc8-1670-01d3-1278-5a47bf6ee188", 15), Some("NetrShareEnum"));
        assert_eq!(named("9556dc99-828c-11cf-a37e-00aa003240c7", 24), Some("ExecMethod"));
        assert_eq!(named("367abb81-9844-35f1-ad32-98f038001003", 10), None);
    }

    #[test]
    fn each_interface_stands_once() {
        let mut uuids: Vec<_> = INTERFACES.iter().map(|interface| interface.uuid).collect();
        uuids.sort_unstable();
        uuids.dedup();
        assert_eq!(uuids.len(), INTERFACES.len());
        assert!(uuids.iter().all(|uuid| uuid.len() == 36 && *uuid == uuid.to_lowercase()));
    }
}
