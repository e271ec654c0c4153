//! The one call of STS that tools make to see whether their credentials work.

use failback_sandbox::wire::{AwsError, Request, Response, Xml};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Answers `GetCallerIdentity`: every caller is the same user.
///
/// # Errors
/// `InvalidAction` for anything else.
pub(super) fn answer(
    request: &Request,
    account: &str,
    request_id: &str,
) -> Result<Response, AwsError> {
    let operation = request.operation();
    if operation != "GetCallerIdentity" {
        let message = format!("Could not find operation {operation} for version 2011-06-15");
        return Err(AwsError::bad_request("InvalidAction", message));
    }
    let mut xml = Xml::new();
    xml.root("GetCallerIdentityResponse", NAMESPACE, |xml| {
        xml.element("GetCallerIdentityResult", |xml| {
            xml.text("Arn", format!("arn:aws:iam::{account}:user/sandbox"));
            xml.text("UserId", "AIDASANDBOXSANDBOX000");
            xml.text("Account", account);
        });
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    });
    Ok(Response::xml(xml.finish()))
}
