"""What tests of access control lists share: lists as boto3 shows them, and ways to name them."""

from tests.s3.conftest import OTHER

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"

# Word -> what it grants beside the owner's full control.
CANNED = {
    "private": [],
    "public-read": [(ALL_USERS, "READ")],
    "public-read-write": [(ALL_USERS, "READ"), (ALL_USERS, "WRITE")],
    "authenticated-read": [(AUTHENTICATED, "READ")],
    "log-delivery-write": [(LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")],
    "bucket-owner-read": [],
    "bucket-owner-full-control": [],
    "aws-exec-read": [],
}

# What boto3 is told -> what it answers.
HEADERS = [
    ({"GrantRead": f'uri="{ALL_USERS}"'}, [(ALL_USERS, "READ")]),
    (
        {"GrantFullControl": f"id={OTHER.id}", "GrantWriteACP": f'emailAddress="{OTHER.email}"'},
        [(OTHER.id, "FULL_CONTROL"), (OTHER.id, "WRITE_ACP")],
    ),
    (
        {"GrantReadACP": f'id="{OTHER.id}", uri="{AUTHENTICATED}" ,URI={LOG_DELIVERY}'},
        [(AUTHENTICATED, "READ_ACP"), (LOG_DELIVERY, "READ_ACP"), (OTHER.id, "READ_ACP")],
    ),
]

BAD = [
    ({"ACL": "public"}, "InvalidArgument"),
    ({"ACL": ""}, "InvalidArgument"),
    ({"ACL": "private", "GrantRead": f'id="{OTHER.id}"'}, "InvalidRequest"),
    ({"GrantRead": 'id="nobody"'}, "InvalidArgument"),
    ({"GrantRead": 'uri="http://acs.amazonaws.com/groups/global/Nobody"'}, "InvalidArgument"),
    ({"GrantRead": 'emailAddress="nobody@example.com"'}, "UnresolvableGrantByEmailAddress"),
    ({"GrantRead": "nobody"}, "InvalidArgument"),
    ({"GrantRead": 'name="nobody"'}, "InvalidArgument"),
]


def shown(answer):
    """Each grant as grantee and permission; who is a user has an id and a name."""
    found = []
    for grant in answer["Grants"]:
        grantee = grant["Grantee"]
        is_user = grantee["Type"] == "CanonicalUser"
        assert set(grantee) == ({"Type", "ID", "DisplayName"} if is_user else {"Type", "URI"})
        assert is_user or grantee["Type"] == "Group"
        found.append((grantee["ID" if is_user else "URI"], grant["Permission"]))
    return found


def policy(owner, grants):
    """A list as boto3 takes it: `grants` are grantees (id, URI or email) with permissions."""
    return {
        "Owner": {"ID": owner},
        "Grants": [{"Grantee": _grantee(name), "Permission": word} for name, word in grants],
    }


def _grantee(name):
    if name.startswith("http"):
        return {"Type": "Group", "URI": name}
    if "@" in name:
        return {"Type": "AmazonCustomerByEmail", "EmailAddress": name}
    return {"Type": "CanonicalUser", "ID": name}


def malformed(owner):
    """Documents that are no access control list, and what they are refused with."""
    whose = f"<Owner><ID>{owner}</ID></Owner>"
    user = f"<ID>{owner}</ID>"
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type'
    typed = f'<Grantee {xsi}="CanonicalUser">{user}</Grantee>'
    read = "<Permission>READ</Permission>"
    many = f"<Grant>{typed}{read}</Grant>" * 101
    lists = [
        f"<Grant><Grantee>{user}</Grantee>{read}</Grant>",
        f'<Grant><Grantee {xsi}="Group">{user}</Grantee>{read}</Grant>',
        f'<Grant><Grantee {xsi}="Nobody">{user}</Grantee>{read}</Grant>',
        f"<Grant>{typed}</Grant>",
        f"<Grant>{read}</Grant>",
        f"<Grant>{typed}<Permission>EXECUTE</Permission></Grant>",
        many,
    ]
    for rows in lists:
        yield f"{whose}<AccessControlList>{rows}</AccessControlList>", "MalformedACLError"
    yield whose, "MalformedACLError"
    yield "<AccessControlList/>", "MalformedACLError"
    yield "<Owner>", "MalformedXML"
    other = "<Owner><ID>somebody</ID></Owner><AccessControlList/>"
    yield other, "AccessDenied"
