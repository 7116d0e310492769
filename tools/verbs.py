"""The verbs of ./sse: what each one is for, what it takes, and how it may end. CONTRIBUTING.md says how to add one."""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = {
    "deploy": "Deploy and change",
    "look": "Look and verify",
    "work": "Work with what runs",
    "learn": "Learn and develop",
}


@dataclass(frozen=True)
class Argument:
    """A word after the verb, such as N in `./sse rollback N`. A playbook gets it as a variable."""

    name: str
    help: str
    variable: str  # with `many`, its value is the list of all words
    required: bool = True
    many: bool = False
    words: tuple[str, ...] = ()  # those that it may be; each is a playbook of its own, such as node_drain.yml


@dataclass(frozen=True)
class Option:
    """An option of our own, such as --fix. A playbook gets it as a variable; ansible-playbook never sees it."""

    flag: str
    help: str
    variable: str
    value: str = ""  # the name of its value in the help; without one, the variable is `true`
    short: str = ""  # such as -m
    otherwise: str = ""  # the value is optional, and this is the variable's value without it
    playbook: str = ""  # the playbook that runs with this option, where that is another one
    tidy: str = ""  # the variable with which this playbook only removes what an interrupted run left


@dataclass(frozen=True)
class Verb:
    """A verb is the playbook or the tool of this name. A tool's arguments stand in its own parser."""

    group: str
    purpose: str  # one line, also for the list of all verbs
    examples: tuple[tuple[str, str], ...] = ()  # what follows `./sse`, and what it does
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    settings: tuple[str, ...] = ()  # the settings that matter most here; -h shows their defaults and meanings
    findings: str = ""  # what it means when the verb ends with 2; empty: it never does
    playbook: str = ""  # its name, where that is not the verb
    more: str = ""  # some lines for -h about what one has to know
    takes_tags: bool = False  # whether a run of some services is meant; else --tags would skip what the verb is for


# What several verbs take.
WHY = Option("--why", "why; the history keeps it", "asked_why", value="WHY", short="-m")
WAIT = Option(
    "--wait",
    "wait while another run changes the stack, for 600 seconds or as many as you say, instead of ending at once",
    "asked_wait",
    value="SECONDS",
    otherwise="600",
)

CANARY = Option(
    "--canary",
    "replace one replica of each service first, and watch it by Prometheus for so many seconds (stack_canary_seconds); "
    "then go on, or back",
    "asked_canary",
    value="SECONDS",
    otherwise="default",
)

VERBS: dict[str, Verb] = {
    # -- deploy and change
    "up": Verb(
        group="deploy",
        purpose="Bring the platform up: engine, images, network, containers. Then verify it.",
        examples=(
            ("up --check --diff", "show what a run would change, and change nothing"),
            ("up -e app_replicas=5", "run five replicas; a later run without -e goes back to the default"),
        ),
        settings=(
            *("stack_name", "app_replicas", "exposure_profile", "network_subnet", "network_layout"),
            *("images_source", "docker_restart_allowed"),
        ),
        options=(WHY, WAIT, CANARY),
        playbook="site",
        takes_tags=True,
        more="Run it again whenever you like: it changes only what differs.",
    ),
    "scale": Verb(
        group="deploy",
        purpose="Run more or fewer containers of a service, until the next `./sse up`.",
        examples=(
            ("scale app=5", "run five replicas"),
            ("scale app=5 --check --diff", "show what that would change, and change nothing"),
        ),
        arguments=(Argument("SERVICE=N", "a service and how many containers of it", "asked_scale", many=True),),
        options=(WHY, WAIT),
        settings=("stack_name", "app_replicas"),
        playbook="site",
        takes_tags=True,
        more="It is `./sse up` with one setting changed. To keep the number, write the setting into the inventory.",
    ),
    "compose": Verb(
        group="look",
        purpose="Write the release that runs as a Compose file, which starts beside the stack under another name.",
        examples=(
            ("compose", "write it into a file below the directory of the call, and say which"),
            ("compose other.yml", "write it into another file"),
        ),
        arguments=(Argument("FILE", "the file; compose.<host>.yml without it", "asked_file", required=False),),
        settings=("stack_name", "stack_state_directory"),
    ),
    "plan": Verb(
        group="deploy",
        purpose="Show what `./sse up` would do: each step with its reasons, the order, how long, whose streams end.",
        examples=(
            ("plan", "what would change, and what somebody changed by hand"),
            ("plan -e app_memory=512m", "what another setting would change"),
        ),
        options=(WAIT,),
        settings=("stack_name", "app_replicas", "exposure_profile"),
        more="It changes nothing.",
        takes_tags=True,
    ),
    "rollback": Verb(
        group="deploy",
        purpose="Go back to an earlier release of the whole stack, with the images that it had. Then verify it.",
        examples=(
            ("rollback", "go back to the release before the last one"),
            ("rollback 3 --check --diff", "show what going back to release 3 would change, and change nothing"),
        ),
        arguments=(
            Argument("N", "the number of the release; `./sse releases` lists them", "asked_release", required=False),
        ),
        options=(WHY, WAIT, CANARY),
        settings=("stack_name", "network_recreate_allowed"),
        more="It becomes a new release, so a rollback can be rolled back. Nothing is downloaded. Secrets keep their\n"
        "values, and data stay as they are: a release that cannot read them is refused. For a cluster, each host\n"
        "that may have to run an image must still have it.",
    ),
    "rotate": Verb(
        group="work",
        purpose="Give a secret a new value while everything runs: the new one works then, and the old one does not.",
        examples=(
            ("rotate grafana_admin_password", "change the password of Grafana's administrator"),
            (
                "rotate app_ticket_key --keep-old",
                "what the old key signed stays valid until the next one",
            ),
        ),
        arguments=(Argument("NAME", "the secret, as its file in secrets/ is called; or all", "asked_secret"),),
        options=(
            Option("--keep-old", "for keys that sign: the old one stays valid until the next", "asked_keep_old"),
            WHY,
            WAIT,
        ),
        settings=("stack_name", "stack_state_directory"),
        more="`rotate all` does it for every secret that this host made, one after the other. No stream ends. A\n"
        "name that is unknown is refused, with the list of those that there are. Secrets that you gave in files\n"
        "are changed in these files, and `./sse up` hands them to what runs.",
    ),
    "pause": Verb(
        group="deploy",
        purpose="Pause publishing, so that every publish gets 503 and streams go on; or pause a rollout that runs.",
        examples=(
            ("pause publishing", "until `./sse resume publishing`, also over restarts"),
            ("pause publishing -m maintenance", "with a reason, which `./sse status` shows"),
        ),
        arguments=(Argument("WHAT", "what to pause: publishing or rollout", "asked_pause"),),
        options=(WHY,),
        settings=("stack_name", "stack_state_directory"),
        more="To pause twice changes nothing. `./sse verify` works meanwhile: its own events are let through.",
    ),
    "resume": Verb(
        group="deploy",
        purpose="End what `./sse pause` paused.",
        examples=(
            ("resume publishing", "accept publishes again, also those with a key that was refused meanwhile"),
            ("resume rollout", "let the run that waits go on"),
        ),
        arguments=(Argument("WHAT", "what to resume: publishing or rollout", "asked_pause"),),
        options=(WHY,),
        settings=("stack_name", "stack_state_directory"),
    ),
    "abort": Verb(
        group="deploy",
        purpose="Abort the rollout that runs: what it replaced comes back as the release before has it.",
        examples=(("abort", "the run ends its step, goes back and fails"), ("abort -m slow", "with a reason")),
        options=(WHY,),
        settings=("stack_name", "stack_state_directory"),
        more="It works while the rollout is paused, too. To go back after a run, use ./sse rollback.",
    ),
    "node": Verb(
        group="deploy",
        purpose="Add a host to a cluster, drain it before you work on it, or remove it.",
        examples=(
            ("node drain two -i inventory/cluster", "replicas start elsewhere, each with `bye`; then the rest ends"),
            ("node add two -i inventory/cluster --check", "say what would change, and change nothing"),
        ),
        arguments=(
            Argument("WHAT", "add, drain or remove", "asked_node", words=("add", "drain", "remove")),
            Argument("HOST", "a host, as the inventory calls it", "asked_host"),
        ),
        options=(
            Option(
                "--away",
                "drain a host, too, that has the only copy of data; its services are away until it gets tasks again",
                "asked_away",
            ),
            WHY,
            WAIT,
        ),
        settings=("stack_name", "stack_state_directory"),
        more="add has a new host join, gives a drained one tasks again, and is `./sse up` for the rest. A host is\n"
        "drained before it is removed, and is not while others could not do without it (docs/cluster.md).",
    ),
    "dashboard": Verb(
        group="deploy",
        purpose="Deploy the performance dashboard only, on the network of a running platform.",
        examples=(
            ("dashboard", "deploy the dashboard"),
            ("dashboard -e dashboard_port=3005", "publish it on another port of the host"),
        ),
        options=(WAIT,),
        settings=("stack_name", "dashboard_port", "dashboard_api", "exposure_admin_bind"),
    ),
    "destroy": Verb(
        group="deploy",
        purpose="Remove the containers, the networks and the firewall rules of the stack. Its data stays.",
        examples=(
            ("destroy", "say what goes and ask; then remove the platform and keep its data"),
            ("destroy --yes -e stack_delete_data=true", "ask nothing; delete its data, secrets and releases, too"),
        ),
        options=(
            Option(
                "--engine",
                "remove the engine, too, if ./sse installed it and only this stack uses it",
                "docker_remove_engine",
            ),
            Option("--yes", "do not ask; needed where there is no terminal to ask at", "stack_destroy_confirmed"),
            WAIT,
        ),
        settings=("stack_name", "stack_delete_data"),
    ),
    "backup": Verb(
        group="deploy",
        purpose="Write data, releases and encrypted secrets of the running stack into one file.",
        examples=(
            (
                "backup /srv/backups/sse.backup",
                "write a backup; without a file, <stack>-<time>.backup in this directory",
            ),
            ("backup --drill sse.backup", "restore it into a throwaway stack, and resume every event by its id"),
        ),
        arguments=(Argument("FILE", "where the backup goes, or the one to try", "asked_file", required=False),),
        options=(
            Option(
                "--drill",
                "try a backup in a second stack of its own, which is removed again; the real one is not touched",
                "asked_drill",
                playbook="drill",
                tidy="asked_drill_cleanup",
            ),
            Option(
                "--wait",
                "begin when no run changes the stack; wait for that for 600 seconds or as many as you say. "
                "With --drill, also while another drill runs",
                "asked_wait",
                value="SECONDS",
                otherwise="600",
            ),
        ),
        settings=("stack_name", "backup_without", "backup_passphrase_file"),
        more="The passphrase comes from SSE_BACKUP_PASSPHRASE, from backup_passphrase_file, or from the terminal.\n"
        "--drill without a FILE makes a backup, tries it, and removes it.\n"
        "Of a cluster, each host reads the data that it has, and the file is the same (docs/cluster.md).",
    ),
    "restore": Verb(
        group="deploy",
        purpose="Restore a backup where the stack is not, under its own name or another one, and bring it up.",
        examples=(
            ("restore sse.backup", "on a bare host, or after destroy -e stack_delete_data=true"),
            ("restore sse.backup -e stack_name=demo -e stack_offset=100", "beside the running stack"),
        ),
        arguments=(Argument("FILE", "a file that ./sse backup wrote", "asked_file"),),
        options=(WAIT,),
        settings=("stack_name", "stack_offset", "backup_passphrase_file"),
        more="Ids survive: a client resumes with the Last-Event-ID that it had before.\n"
        "A backup of one host comes back in a cluster, too, and that of a cluster on one host (docs/cluster.md).",
    ),
    "bundle": Verb(
        group="deploy",
        purpose="Write one file with everything that a host without network is deployed from.",
        examples=(
            ("bundle sse-bundle.tar", "for a host like this machine"),
            ("bundle sse-bundle.tar -i inventory/vm", "with the images that the settings of this inventory need"),
        ),
        more="It gets images that are missing, and changes nothing else. On the host without network:\n"
        "tar xf sse-bundle.tar && cd sse-bundle && ./sse up\n"
        "For a cluster (-i inventory/cluster), this machine gets the images. Unpack it on the one that deploys, which\n"
        "brings to each host what that lacks.",
    ),
    # -- look and verify
    "status": Verb(
        group="look",
        purpose="Show what runs: each container with health, processor, memory, address, ports, image and uptime.",
        examples=(
            ("status --watch", "look again every 2 seconds, until Ctrl-C"),
            ("status --json", "write one JSON document, for programs; docs/operations.md says what stands in it"),
        ),
        options=(
            Option("--watch", "look again every 2 seconds, until Ctrl-C", "asked_watch"),
            Option("--json", "write one JSON document for programs; everything else goes to the errors", "asked_json"),
        ),
        settings=("stack_name", "stack_state_directory"),
        more="It also says where people open what runs, and which file of the host holds the password of Grafana.",
    ),
    "verify": Verb(
        group="look",
        purpose="Verify that what runs works: events, health, metrics, ports, connections. It lists every finding.",
        examples=(
            ("verify", "verify the platform"),
            ("verify -e verify_matrix=true", "draw which container reaches which, too"),
        ),
        settings=("stack_name", "verify_matrix"),
        findings="something does not work; each finding says what, and how to mend it",
    ),
    "drift": Verb(
        group="look",
        purpose="Compare the host with the release that was applied, and say what somebody changed.",
        examples=(
            ("drift", "list what differs, and change nothing"),
            ("drift -i inventory/vm", "the same on the hosts of another inventory, for instance from cron"),
        ),
        settings=("stack_name", "stack_state_directory"),
        findings="something differs; `./sse up` mends it",
        more="Of a cluster it compares nodes, networks and services, and the files and the engine of each host.",
    ),
    "doctor": Verb(
        group="look",
        purpose="Find what is wrong with the host, its engine, networks, containers and ports, and how to mend it.",
        examples=(
            ("doctor --fix", "mend what carries the label of the stack"),
            ("doctor --host", "change nothing, and look at containers and networks of others, too"),
        ),
        options=(
            Option("--fix", "run the commands that mend what belongs to the stack", "doctor_fix"),
            Option("--host", "also tell what is wrong with things of others; this is advice", "doctor_host"),
        ),
        settings=("stack_name", "stack_state_directory"),
        findings="something is wrong; each finding has the command that mends it (advice about others alone is 0)",
        more="For a cluster it looks at all hosts together, at the managers, and at the ports and clocks between\n"
        "them; docs/cluster.md lists what it finds. With --host it looks into each of them by itself.",
    ),
    "alert-test": Verb(
        group="look",
        purpose="Send a test alert to every receiver in alerts_to, and say which of them took it.",
        examples=(
            ("alert-test", "have each receiver get one message, and another one when the alert ends"),
            ("alert-test -i inventory/vm", "the same for the hosts of another inventory"),
        ),
        settings=("stack_name", "alerts_to"),
        findings="a receiver did not take it; the finding has the reason",
        playbook="alert_test",
        more="./sse verify sends nothing: it only looks whether the receivers are those of the settings.",
    ),
    "audit": Verb(
        group="look",
        purpose="Compare the platform, Compose files or a running project with good practice.",
        examples=(
            ("audit", "check the platform"),
            ("audit .", "check what docker compose up would read in this directory"),
        ),
        findings="a practice is not kept",
    ),
    "scan": Verb(
        group="look",
        purpose="List the ports of the host that answer to others, and compare them with what is declared.",
        examples=(("scan", "try every port of this machine"), ("scan -i inventory/vm --allow 25", "accept port 25")),
        more="Of a cluster it looks at every host: from a neighbour of it, from each other host, and from here.",
        findings="another port answers than those that are declared, or a declared one does not",
    ),
    "diagram": Verb(
        group="look",
        purpose="Draw what is deployed: networks, addresses, ports and connections.",
        examples=(("diagram", "print Mermaid"), ("diagram --svg -o topology.svg", "write a picture")),
    ),
    "releases": Verb(
        group="look",
        purpose="List the releases that are kept, or show one of them with all its containers.",
        examples=(("releases", "list them"), ("releases show 3", "show the containers of release 3")),
        arguments=(
            Argument("show N", "the number of one release; without N, the one that runs", "asked_words", False, True),
        ),
        settings=("stack_name", "stack_state_directory"),
        more="Release N of the stack is what every project ran when N was made.",
    ),
    "diff": Verb(
        group="look",
        purpose="Compare two releases: each container that differs, and the changed lines of its config files.",
        examples=(
            ("diff 3 5", "what leads from release 3 to release 5"),
            ("diff 5 3", "what a rollback from release 5 to release 3 would change"),
        ),
        arguments=(Argument("N M", "the numbers of two releases", "asked_numbers", many=True),),
        settings=("stack_name", "stack_state_directory"),
    ),
    "history": Verb(
        group="look",
        purpose="List every run: who asked, from where, when, why, what changed, how long it took, how it ended.",
        examples=(("history", "list the newest runs"), ("history -i inventory/vm", "list those of other hosts")),
        settings=("stack_name", "stack_state_directory"),
        more="Values of -e that can hold a secret are not kept: only their names are.",
    ),
    # -- work with what runs
    "logs": Verb(
        group="work",
        purpose="Show the logs of containers, merged by time; or search them.",
        examples=(
            ("logs app -f", "follow the replicas"),
            ("logs --level warning --since 10m", "what went wrong in the last 10 minutes, in every container"),
        ),
    ),
    "exec": Verb(
        group="work",
        purpose="Run a command in a container; without a command, a shell.",
        examples=(("exec redis", "open a shell"), ("exec app-1 python -V", "run a command")),
        more="It ends with the exit code of the command.",
    ),
    "restart": Verb(
        group="work",
        purpose="Restart containers one at a time, and wait until each one is healthy.",
        examples=(("restart app", "restart every replica"), ("restart app-1 redis", "restart these two")),
    ),
    "forward": Verb(
        group="work",
        purpose="Open dashboard, Grafana and Prometheus of a cluster, which publishes them to nobody, on this machine.",
        examples=(
            ("forward -i inventory/cluster", "what people open in a browser, on 127.0.0.1 until Ctrl-C"),
            ("forward app-1 -i inventory/cluster", "the ports of one container"),
        ),
        more="It forwards through SSH to the host where each of them runs. Nothing is opened to others.",
    ),
    "reload": Verb(
        group="work",
        purpose="Have services read their files anew, after a check. No connection ends.",
        examples=(
            ("reload nginx", "check the files of NGINX as they are on the host, and have it read them"),
            ("reload nginx prometheus", "do so with both"),
        ),
        arguments=(Argument("SERVICE", "a service or container that can reload", "asked_services", many=True),),
        options=(WHY, WAIT),
        settings=("stack_name", "stack_state_directory", "nginx_drain_seconds"),
        more="After a changed setting or certificate run ./sse up instead: it writes the files, and reloads.",
    ),
    "probe": Verb(
        group="work",
        purpose="Test the connection from a container (or the host) to another, and say why it fails.",
        examples=(
            ("probe app-1 kafka:9092", "resolve the name and connect"),
            ("probe nginx app-2:8000/health/ready", "ask over HTTP, too"),
        ),
        findings="the connection does not work",
    ),
    "publish": Verb(
        group="work",
        purpose="Publish an event to a channel, and print its id once it is stored.",
        examples=(
            ("publish news '{\"n\": 1}'", "publish JSON; whoever listens to news gets it at once"),
            ("publish news - --event log --key backup-1", "publish the standard input, once for this key"),
        ),
        more="It goes to the platform of the inventory, or to another one by --url. It is tried again\n"
        "with the same key until an answer comes, so that the event is stored once.",
    ),
    "listen": Verb(
        group="work",
        purpose="Print the events of channels as they come, one on each line. Ctrl-C ends it.",
        examples=(
            ("listen news", "what comes from now on"),
            ("listen 'orders.*' --last 10 --json", "the newest ten first, each as a JSON document"),
        ),
        findings="events are lost: a gap is printed where they were",
        more="It listens to the platform of the inventory, or to another one by --url. After a cut it comes back,\n"
        "and no event is lost or doubled.",
    ),
    "capture": Verb(
        group="work",
        purpose="Capture the packets of a container into a file, and sum up who talks to whom.",
        examples=(
            ("capture app-1", "capture for 10 seconds"),
            ("capture kafka --port 9092 --seconds 20", "capture one port for 20 seconds"),
        ),
    ),
    "key": Verb(
        group="work",
        purpose="Make an API key, print it once, and store only its hash.",
        examples=(
            ("key keys.json backend --publish 'orders.*'", "it may publish to orders.new and the like"),
            ("key keys.json backend --remove", "remove every key of this name"),
        ),
    ),
    # -- learn and develop
    "lab": Verb(
        group="learn",
        purpose="Show what each kind of Docker network does, by measuring throwaway containers.",
        examples=(("lab", "run every lesson"), ("lab -e lab_image=alpine", "use another image for the containers")),
        settings=("lab_image", "lab_engine_image"),
        more="It leaves nothing behind.",
    ),
    "completion": Verb(
        group="learn",
        purpose="Print what bash, zsh or fish reads to complete verbs, options, hosts, containers and releases.",
        examples=(
            ("completion bash", 'write this into ~/.bashrc as: eval "$(PATH_OF_THE_CHECKOUT/sse completion bash)"'),
            ("completion fish", "for fish; its first line says where it goes"),
        ),
        more="Containers and releases are those of this machine.",
    ),
    "test": Verb(
        group="learn",
        purpose="Run the tests of this project: lint, unit, stacks, integration, browser, molecule.",
        examples=(("test", "run every test"), ("test lint unit", "run those that need no Docker")),
    ),
}
