"""The configuration: the checks of `pilotfish check`, the pages that show it, and what a reload changes."""
import json
import os
import re
import signal
import subprocess

from hostile import Skipped
from parts import PILOTFISH, Target, free_port, get, until

JOB = "scrape_configs:\n- job_name: %s\n  scrape_interval: 1s\n  static_configs: [{targets: ['127.0.0.1:%d']}]\n"


def check(*arguments, text=None):
    result = subprocess.run([PILOTFISH, "check", *arguments], capture_output=True, text=True, timeout=30, input=text)
    return result.returncode, result.stdout, result.stderr


def test_check_config_ends_as_promtool_does(folder):
    good = folder.file("good.yml", JOB % ("j", 1))
    bad = folder.file("bad.yml", "global: {nope: 1}\n")
    code, out, err = check("config", "--agent", good)
    assert code == 0 and f" SUCCESS: {good} is valid prometheus config file syntax" in out and not err, (code, out, err)
    code, out, err = check("config", good, bad)
    assert code == 1 and "SUCCESS" in out and f"  FAILED: {bad}:1:10: global.nope: unknown key" in err, (code, out, err)
    slow = folder.file("slow.yml", "scrape_configs: [{job_name: j, scrape_interval: 10m}]\n")
    assert check("config", slow)[0] == 0
    code, _, err = check("config", "--lint=too-long-scrape-interval", slow)
    assert code == 0 and "too long scrape interval found" in err, (code, err)
    assert check("config", "--lint=all", "--lint-fatal", slow)[0] == 3
    # Behind -- nothing is a flag.
    code, out, err = check("config", "--", good, "--agent")
    assert code == 1 and "Checking --agent" in out, (code, out, err)
    assert "--query.lookback-delta: \"5 m\" is not a valid duration" in check("config", "--query.lookback-delta=5 m", good)[2]
    for arguments in ([], ["--nope", good], [f"{folder.path}/none.yml"], ["--query.lookback-delta=x", good]):
        assert check("config", *arguments)[0] == 1, arguments


def test_check_config_reads_what_it_names(folder):
    os.mkdir(f"{folder.path}/jobs")
    main = folder.file("p.yml", "scrape_config_files: [jobs/*.yml]\nscrape_configs:\n- job_name: j\n"
                                "  file_sd_configs: [{files: [t.json, none.json]}]\n")
    folder.file("t.json", '[{"targets": ["a:1"]}]')
    folder.file("jobs/a.yml", "scrape_configs:\n- job_name: j\n")
    code, _, err = check("config", main)
    assert code == 1 and f"{folder.path}/jobs/a.yml:2:13:" in err and f"first found in {main}" in err, (code, err)
    assert check("config", "--syntax-only", main)[0] == 0
    folder.file("jobs/a.yml", "scrape_configs:\n- job_name: k\n")
    code, out, err = check("config", main)
    assert code == 0 and f'WARNING: file "{folder.path}/none.json" for file_sd in scrape job "j" does not exist' in out
    for text in ('[{"targets": ["http://a:1/x"]}]', '[{"targets": 1}]', "{"):
        folder.file("t.json", text)
        code, _, err = check("config", main)
        assert code == 1 and "checking SD file" in err, (text, code, err)
        assert check("config", "--syntax-only", main)[0] == 0


def test_blocks_for_servers(folder):
    port = free_port()
    text = "rule_files: [a.rules]\nalerting: {alertmanagers: [{static_configs: [{targets: ['a:1']}]}]}\n" + JOB % ("j", 1)
    path = folder.file("p.yml", text)
    code, _, err = check("config", path)
    assert code == 1 and "field rule_files is not allowed in agent mode" in err and "alerting" in err, err
    code, out, _ = check("config", "--config.ignore-server-blocks", path)
    assert code == 0 and out.count("WARNING") == 1, out
    with folder.agent(port, text, "--config.ignore-server-blocks"):
        log = open(f"{folder.path}/agent.log").read()
        assert log.count("rule_files, alerting ignored") == 1, log


def test_check_metrics_lints_as_promtool_does(folder):
    text = "# HELP a_total h\n# TYPE a_total counter\na_total 1\n"
    assert check("metrics", text=text)[:2] == (0, "")
    code, _, err = check("metrics", text=text + "b_ms 1\n")
    assert code == 3 and err == "b_ms metric names should not contain abbreviated units\nb_ms no help text\n", (code, err)
    code, _, err = check("metrics", text="a{ 1\n")
    assert code == 1 and err.startswith("error while linting: "), (code, err)
    assert check("metrics", "--lint=none", text=text + "b_ms 1\n")[0] == 0
    assert check("metrics", "--lint=some", text=text)[0] == 1
    code, out, _ = check("metrics", "--extended", text=text)
    assert code == 0 and re.search(r"a_total +1 +100.00%", out), out


def test_check_web_config(folder):
    good = folder.file("good.yml", "http_server_config: {http2: false}\n")
    bad = folder.file("bad.yml", "tls_server_config: {cert_file: none}\n")
    code, out, err = check("web-config", good)
    assert (code, out, err) == (0, "", f"{good} SUCCESS\n"), (code, out, err)
    code, _, err = check("web-config", good, bad)
    assert code == 1 and f"{bad} FAILED: " in err, err


def test_check_relabel_shows_each_rule(folder):
    path = folder.file("p.yml", "scrape_configs:\n- job_name: j\n  relabel_configs:\n"
                                "  - {source_labels: [__meta_a], target_label: a}\n"
                                "  - {source_labels: [a], regex: gone, action: drop}\n"
                                "  metric_relabel_configs: [{action: labeldrop, regex: b}]\n")
    arguments = ["relabel", path, "--job", "j"]
    code, out, _ = check(*arguments, "__address__=h:1", "__meta_a=x")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 4 and lines[2].endswith("no change") and 'a="x"' in lines[3], out
    code, out, _ = check(*arguments, "--json", "__meta_a=gone")
    steps = json.loads(out)
    assert code == 0 and steps["dropped"] and steps["result"] is None and steps["labels"]["__scheme__"] == "http", out
    assert [s["labels"] is None for s in steps["steps"]] == [False, True], out
    assert check(*arguments, "--metric-rules", "a=1", "b=2")[1].splitlines()[-1] == 'result: {a="1"}'
    for wrong in (["relabel", path], ["relabel", path, "--job", "k"], [*arguments, "nolabel"]):
        assert check(*wrong)[0] == 1, wrong


def test_pages_show_what_is_in_force(folder):
    try:
        import yaml
    except ImportError:
        raise Skipped("needs python3-yaml") from None
    port = free_port()
    text = ("global: {external_labels: {where: '${PLACE}<b>'}}\n" + JOB % ("j", port)
            + "remote_write:\n- url: http://user:hush@127.0.0.1:1/w\n")
    os.environ["PLACE"] = "here"
    base = f"http://127.0.0.1:{port}"
    with folder.agent(port, text, "--web.enable-lifecycle"):
        def data(name):
            answer = json.loads(get(f"{base}/api/v1/status/{name}"))
            assert answer["status"] == "success", answer
            return answer["data"]

        shown = data("config")["yaml"]
        loaded = yaml.safe_load(shown)
        assert loaded["global"]["external_labels"] == {"where": "here<b>"}, shown
        assert loaded["scrape_configs"][0]["scrape_timeout"] == "1s" and loaded["remote_write"][0]["remote_timeout"] == "30s"
        page = get(f"{base}/config")
        assert "here&lt;b&gt;" in page and "hush" not in page + shown and "job_name: j" in page, page
        flags = data("flags")
        assert flags["config.file"] == f"{folder.path}/agent.yml" and flags["web.enable-lifecycle"] == "true", flags
        assert flags["storage.remote.flush-deadline"] == "20s" and flags["log.level"] == "info", flags
        assert set(data("buildinfo")) == {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"}
        info = data("runtimeinfo")
        assert info["reloadConfigSuccess"] is True and info["serverTime"] >= info["startTime"], info
        assert info["lastConfigTime"].startswith("20") and info["CWD"] == os.getcwd(), info


def test_a_reload_reads_files_of_jobs_again(folder):
    """A job that is as it was is not interrupted; a bad file changes nothing."""
    port = free_port()
    os.mkdir(f"{folder.path}/jobs")
    with Target() as old, Target() as new:
        text = "scrape_config_files: [jobs/*.yml]\n" + JOB % ("old", old.port)
        with folder.agent(port, text, "--web.enable-lifecycle") as agent:
            def targets():
                answer = json.loads(get(f"http://127.0.0.1:{port}/api/v1/targets"))["data"]["activeTargets"]
                return {t["scrapePool"]: t for t in answer}

            def gauge(name):
                return float(re.search(rf"^{name} (\S+)", get(f"http://127.0.0.1:{port}/metrics"), re.M)[1])

            until("the old job is scraped", lambda: old.count >= 2)
            folder.file("jobs/a.yml", JOB % ("new", new.port))
            agent.send_signal(signal.SIGHUP)
            until("the new job is scraped", lambda: new.count >= 2)
            assert set(targets()) == {"old", "new"}, targets()
            folder.file("jobs/a.yml", JOB % ("old", new.port))
            agent.send_signal(signal.SIGHUP)
            until("the reload fails", lambda: gauge("prometheus_config_last_reload_successful") == 0)
            assert set(targets()) == {"old", "new"}
            info = json.loads(get(f"http://127.0.0.1:{port}/api/v1/status/runtimeinfo"))["data"]
            assert info["reloadConfigSuccess"] is False, info
            before, count = targets()["old"], old.count
            os.remove(f"{folder.path}/jobs/a.yml")
            agent.send_signal(signal.SIGHUP)
            until("the new job is gone", lambda: set(targets()) == {"old"})
            assert gauge("prometheus_config_last_reload_successful") == 1
            # The job that stayed goes on: it is neither unknown nor scraped twice at once.
            assert targets()["old"]["health"] == "up" and targets()["old"]["lastScrape"] >= before["lastScrape"]
            until("the old job goes on", lambda: old.count >= count + 2)
