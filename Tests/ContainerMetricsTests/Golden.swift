/// What the pages of `Answers` are to be, `shortened`.
enum Golden {
  static let fargate = #"""
    # HELP container_blkio_device_usage_total Blkio Device bytes usage
    # TYPE container_blkio_device_usage_total counter
    container_blkio_device_usage_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",device="1048000:1",id="/ecs/t1/t1-2",image="app:1",major="1048000",minor="1",name="app",operation="Read"} 101
    container_blkio_device_usage_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",device="1048000:1",id="/ecs/t1/t1-2",image="app:1",major="1048000",minor="1",name="app",operation="Write"} 200
    # HELP container_cpu_cfs_periods_total Number of elapsed enforcement period intervals.
    # TYPE container_cpu_cfs_periods_total counter
    container_cpu_cfs_periods_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 10
    # HELP container_cpu_cfs_throttled_periods_total Number of throttled period intervals.
    # TYPE container_cpu_cfs_throttled_periods_total counter
    container_cpu_cfs_throttled_periods_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 2
    # HELP container_cpu_cfs_throttled_seconds_total Total time duration the container has been throttled.
    # TYPE container_cpu_cfs_throttled_seconds_total counter
    container_cpu_cfs_throttled_seconds_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 1.5
    # HELP container_cpu_system_seconds_total Cumulative system cpu time consumed in seconds.
    # TYPE container_cpu_system_seconds_total counter
    container_cpu_system_seconds_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 0.5
    # HELP container_cpu_usage_seconds_total Cumulative cpu time consumed in seconds.
    # TYPE container_cpu_usage_seconds_total counter
    container_cpu_usage_seconds_total{container_label_a_b="",ecs_container_name="agent",container_label_team="",cpu="total",id="/ecs/t1/t1-3",image="pilotfish",name="agent"} 0.932439492
    container_cpu_usage_seconds_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",cpu="total",id="/ecs/t1/t1-2",image="app:1",name="app"} 3.5
    # HELP container_cpu_user_seconds_total Cumulative user cpu time consumed in seconds.
    # TYPE container_cpu_user_seconds_total counter
    container_cpu_user_seconds_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 3
    # HELP container_creation_time_seconds Container creation time since unix epoch in seconds.
    # TYPE container_creation_time_seconds gauge
    container_creation_time_seconds{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 1.767323047e+09
    # HELP container_fs_reads_bytes_total Cumulative count of bytes read
    # TYPE container_fs_reads_bytes_total counter
    container_fs_reads_bytes_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",device="1048000:1",id="/ecs/t1/t1-2",image="app:1",name="app"} 101
    # HELP container_fs_reads_total Cumulative count of reads completed
    # TYPE container_fs_reads_total counter
    container_fs_reads_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",device="1048000:1",id="/ecs/t1/t1-2",image="app:1",name="app"} 7
    # HELP container_fs_writes_bytes_total Cumulative count of bytes written
    # TYPE container_fs_writes_bytes_total counter
    container_fs_writes_bytes_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",device="1048000:1",id="/ecs/t1/t1-2",image="app:1",name="app"} 200
    # HELP container_health_state The result of the container's health check
    # TYPE container_health_state gauge
    container_health_state{container_label_a_b="",ecs_container_name="agent",container_label_team="",id="/ecs/t1/t1-3",image="pilotfish",name="agent"} -1
    container_health_state{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 1
    # HELP container_last_seen Last time a container was seen by the exporter
    # TYPE container_last_seen gauge
    container_last_seen{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",name=""} 1.8e+09
    container_last_seen{container_label_a_b="",ecs_container_name="agent",container_label_team="",id="/ecs/t1/t1-3",image="pilotfish",name="agent"} 1.8e+09
    container_last_seen{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 1.8e+09
    # HELP container_memory_cache Number of bytes of page cache memory.
    # TYPE container_memory_cache gauge
    container_memory_cache{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 300
    # HELP container_memory_failcnt Number of memory usage hits limits
    # TYPE container_memory_failcnt counter
    container_memory_failcnt{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 4
    # HELP container_memory_failures_total Cumulative count of memory allocation failures.
    # TYPE container_memory_failures_total counter
    container_memory_failures_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",failure_type="pgfault",id="/ecs/t1/t1-2",image="app:1",name="app",scope="container"} 5
    container_memory_failures_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",failure_type="pgfault",id="/ecs/t1/t1-2",image="app:1",name="app",scope="hierarchy"} 9
    container_memory_failures_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",failure_type="pgmajfault",id="/ecs/t1/t1-2",image="app:1",name="app",scope="container"} 1
    container_memory_failures_total{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",failure_type="pgmajfault",id="/ecs/t1/t1-2",image="app:1",name="app",scope="hierarchy"} 1
    # HELP container_memory_mapped_file Size of memory mapped files in bytes.
    # TYPE container_memory_mapped_file gauge
    container_memory_mapped_file{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 70
    # HELP container_memory_max_usage_bytes Maximum memory usage recorded in bytes
    # TYPE container_memory_max_usage_bytes gauge
    container_memory_max_usage_bytes{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 2000
    # HELP container_memory_rss Size of RSS in bytes.
    # TYPE container_memory_rss gauge
    container_memory_rss{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 500
    # HELP container_memory_total_active_file_bytes Current total active file in bytes.
    # TYPE container_memory_total_active_file_bytes gauge
    container_memory_total_active_file_bytes{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 50
    # HELP container_memory_total_inactive_file_bytes Current total inactive file in bytes.
    # TYPE container_memory_total_inactive_file_bytes gauge
    container_memory_total_inactive_file_bytes{container_label_a_b="",ecs_container_name="agent",container_label_team="",id="/ecs/t1/t1-3",image="pilotfish",name="agent"} 200
    container_memory_total_inactive_file_bytes{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 250
    # HELP container_memory_usage_bytes Current memory usage in bytes, including all memory regardless of when it was accessed
    # TYPE container_memory_usage_bytes gauge
    container_memory_usage_bytes{container_label_a_b="",ecs_container_name="agent",container_label_team="",id="/ecs/t1/t1-3",image="pilotfish",name="agent"} 100
    container_memory_usage_bytes{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 1000
    # HELP container_memory_working_set_bytes Current working set in bytes.
    # TYPE container_memory_working_set_bytes gauge
    container_memory_working_set_bytes{container_label_a_b="",ecs_container_name="agent",container_label_team="",id="/ecs/t1/t1-3",image="pilotfish",name="agent"} 0
    container_memory_working_set_bytes{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 750
    # HELP container_network_receive_bytes_total Cumulative count of bytes received
    # TYPE container_network_receive_bytes_total counter
    container_network_receive_bytes_total{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",interface="eth1",name=""} 950
    # HELP container_network_receive_errors_total Cumulative count of errors encountered while receiving
    # TYPE container_network_receive_errors_total counter
    container_network_receive_errors_total{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",interface="eth1",name=""} 0
    # HELP container_network_receive_packets_dropped_total Cumulative count of packets dropped while receiving
    # TYPE container_network_receive_packets_dropped_total counter
    container_network_receive_packets_dropped_total{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",interface="eth1",name=""} 1
    # HELP container_network_receive_packets_total Cumulative count of packets received
    # TYPE container_network_receive_packets_total counter
    container_network_receive_packets_total{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",interface="eth1",name=""} 10
    # HELP container_network_transmit_bytes_total Cumulative count of bytes transmitted
    # TYPE container_network_transmit_bytes_total counter
    container_network_transmit_bytes_total{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",interface="eth1",name=""} 800
    # HELP container_network_transmit_errors_total Cumulative count of errors encountered while transmitting
    # TYPE container_network_transmit_errors_total counter
    container_network_transmit_errors_total{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",interface="eth1",name=""} 2
    # HELP container_network_transmit_packets_dropped_total Cumulative count of packets dropped while transmitting
    # TYPE container_network_transmit_packets_dropped_total counter
    container_network_transmit_packets_dropped_total{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",interface="eth1",name=""} 3
    # HELP container_network_transmit_packets_total Cumulative count of packets transmitted
    # TYPE container_network_transmit_packets_total counter
    container_network_transmit_packets_total{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",interface="eth1",name=""} 8
    # HELP container_spec_cpu_period CPU period of the container.
    # TYPE container_spec_cpu_period gauge
    container_spec_cpu_period{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",name=""} 100000
    # HELP container_spec_cpu_quota CPU quota of the container.
    # TYPE container_spec_cpu_quota gauge
    container_spec_cpu_quota{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",name=""} 50000
    # HELP container_spec_cpu_shares CPU share of the container.
    # TYPE container_spec_cpu_shares gauge
    container_spec_cpu_shares{container_label_a_b="",ecs_container_name="agent",container_label_team="",id="/ecs/t1/t1-3",image="pilotfish",name="agent"} 64
    container_spec_cpu_shares{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 2
    # HELP container_spec_memory_limit_bytes Memory limit for the container.
    # TYPE container_spec_memory_limit_bytes gauge
    container_spec_memory_limit_bytes{container_label_a_b="",ecs_container_name="",container_label_team="",id="/ecs/t1",image="",name=""} 1.073741824e+09
    container_spec_memory_limit_bytes{container_label_a_b="",ecs_container_name="agent",container_label_team="",id="/ecs/t1/t1-3",image="pilotfish",name="agent"} 1.34217728e+08
    container_spec_memory_limit_bytes{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 1.073741824e+09
    # HELP container_start_time_seconds Start time of the container since unix epoch in seconds.
    # TYPE container_start_time_seconds gauge
    container_start_time_seconds{container_label_a_b="2",ecs_container_name="app",container_label_team="a\"b",id="/ecs/t1/t1-2",image="app:1",name="app"} 1.767323048e+09

    """#

  static let bridge = #"""
    # HELP container_blkio_device_usage_total Blkio Device bytes usage
    # TYPE container_blkio_device_usage_total counter
    container_blkio_device_usage_total{ecs_container_name="a",device="1048000:0",id="/ecs/t2/d1",image="a:1",major="1048000",minor="0",name="ecs-web-8-a-0f",operation="Read"} 60
    container_blkio_device_usage_total{ecs_container_name="a",device="1048000:0",id="/ecs/t2/d1",image="a:1",major="1048000",minor="0",name="ecs-web-8-a-0f",operation="Write"} 70
    # HELP container_cpu_usage_seconds_total Cumulative cpu time consumed in seconds.
    # TYPE container_cpu_usage_seconds_total counter
    container_cpu_usage_seconds_total{ecs_container_name="a",cpu="total",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 1e-06
    container_cpu_usage_seconds_total{ecs_container_name="b",cpu="total",id="/ecs/t2/d2",image="b:1",name="ecs-web-8-b-0f"} 2e-06
    # HELP container_fs_reads_bytes_total Cumulative count of bytes read
    # TYPE container_fs_reads_bytes_total counter
    container_fs_reads_bytes_total{ecs_container_name="a",device="1048000:0",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 60
    # HELP container_fs_writes_bytes_total Cumulative count of bytes written
    # TYPE container_fs_writes_bytes_total counter
    container_fs_writes_bytes_total{ecs_container_name="a",device="1048000:0",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 70
    # HELP container_health_state The result of the container's health check
    # TYPE container_health_state gauge
    container_health_state{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} -1
    container_health_state{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",name="ecs-web-8-b-0f"} -1
    # HELP container_last_seen Last time a container was seen by the exporter
    # TYPE container_last_seen gauge
    container_last_seen{ecs_container_name="",id="/ecs/t2",image="",name=""} 1.8e+09
    container_last_seen{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 1.8e+09
    container_last_seen{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",name="ecs-web-8-b-0f"} 1.8e+09
    # HELP container_memory_cache Number of bytes of page cache memory.
    # TYPE container_memory_cache gauge
    container_memory_cache{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 300
    container_memory_cache{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",name="ecs-web-8-b-0f"} 2
    # HELP container_memory_failures_total Cumulative count of memory allocation failures.
    # TYPE container_memory_failures_total counter
    container_memory_failures_total{ecs_container_name="a",failure_type="pgfault",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f",scope="container"} 5
    container_memory_failures_total{ecs_container_name="a",failure_type="pgfault",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f",scope="hierarchy"} 5
    container_memory_failures_total{ecs_container_name="a",failure_type="pgmajfault",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f",scope="container"} 1
    container_memory_failures_total{ecs_container_name="a",failure_type="pgmajfault",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f",scope="hierarchy"} 1
    # HELP container_memory_file_dirty_bytes Number of bytes of file cache that has been modified but not yet written back to disk.
    # TYPE container_memory_file_dirty_bytes gauge
    container_memory_file_dirty_bytes{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 11
    # HELP container_memory_file_writeback_bytes Number of bytes of file cache that is currently being written back to disk.
    # TYPE container_memory_file_writeback_bytes gauge
    container_memory_file_writeback_bytes{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 12
    # HELP container_memory_mapped_file Size of memory mapped files in bytes.
    # TYPE container_memory_mapped_file gauge
    container_memory_mapped_file{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 10
    # HELP container_memory_pgscan_total Cumulative number of pages scanned by the page reclaim algorithm.
    # TYPE container_memory_pgscan_total counter
    container_memory_pgscan_total{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 13
    # HELP container_memory_pgsteal_total Cumulative number of pages reclaimed by the page reclaim algorithm.
    # TYPE container_memory_pgsteal_total counter
    container_memory_pgsteal_total{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 14
    # HELP container_memory_rss Size of RSS in bytes.
    # TYPE container_memory_rss gauge
    container_memory_rss{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 400
    container_memory_rss{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",name="ecs-web-8-b-0f"} 1
    # HELP container_memory_total_active_file_bytes Current total active file in bytes.
    # TYPE container_memory_total_active_file_bytes gauge
    container_memory_total_active_file_bytes{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 200
    # HELP container_memory_total_inactive_file_bytes Current total inactive file in bytes.
    # TYPE container_memory_total_inactive_file_bytes gauge
    container_memory_total_inactive_file_bytes{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 100
    # HELP container_memory_usage_bytes Current memory usage in bytes, including all memory regardless of when it was accessed
    # TYPE container_memory_usage_bytes gauge
    container_memory_usage_bytes{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 1000
    container_memory_usage_bytes{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",name="ecs-web-8-b-0f"} 2000
    # HELP container_memory_working_set_bytes Current working set in bytes.
    # TYPE container_memory_working_set_bytes gauge
    container_memory_working_set_bytes{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 900
    # HELP container_network_receive_bytes_total Cumulative count of bytes received
    # TYPE container_network_receive_bytes_total counter
    container_network_receive_bytes_total{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",interface="eth0",name="ecs-web-8-a-0f"} 1000
    container_network_receive_bytes_total{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",interface="eth0",name="ecs-web-8-b-0f"} 500
    # HELP container_network_transmit_bytes_total Cumulative count of bytes transmitted
    # TYPE container_network_transmit_bytes_total counter
    container_network_transmit_bytes_total{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",interface="eth0",name="ecs-web-8-a-0f"} 10
    container_network_transmit_bytes_total{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",interface="eth0",name="ecs-web-8-b-0f"} 5
    # HELP container_spec_cpu_shares CPU share of the container.
    # TYPE container_spec_cpu_shares gauge
    container_spec_cpu_shares{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 128
    container_spec_cpu_shares{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",name="ecs-web-8-b-0f"} 128
    # HELP container_spec_memory_limit_bytes Memory limit for the container.
    # TYPE container_spec_memory_limit_bytes gauge
    container_spec_memory_limit_bytes{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 2.68435456e+08
    container_spec_memory_limit_bytes{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",name="ecs-web-8-b-0f"} 0
    # HELP container_threads Number of threads running inside the container
    # TYPE container_threads gauge
    container_threads{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 33
    # HELP container_threads_max Maximum number of threads allowed inside the container, infinity if value is zero
    # TYPE container_threads_max gauge
    container_threads_max{ecs_container_name="a",id="/ecs/t2/d1",image="a:1",name="ecs-web-8-a-0f"} 404
    container_threads_max{ecs_container_name="b",id="/ecs/t2/d2",image="b:1",name="ecs-web-8-b-0f"} 0

    """#

  static let fargateECS = #"""
    # HELP ecs_container_cpu_usage_seconds_total Cumulative total container CPU usage in seconds.
    # TYPE ecs_container_cpu_usage_seconds_total counter
    ecs_container_cpu_usage_seconds_total{container_name="agent"} 0.9324394920000001
    ecs_container_cpu_usage_seconds_total{container_name="app"} 3.5
    # HELP ecs_container_memory_limit_bytes Configured container memory limit in bytes, set from the container-level limit in the task definition if any, otherwise the task-level limit.
    # TYPE ecs_container_memory_limit_bytes gauge
    ecs_container_memory_limit_bytes{container_name="agent"} 1.34217728e+08
    ecs_container_memory_limit_bytes{container_name="app"} 1.073741824e+09
    # HELP ecs_container_memory_page_cache_size_bytes Current container memory page cache size in bytes. This is not a subset of used bytes.
    # TYPE ecs_container_memory_page_cache_size_bytes gauge
    ecs_container_memory_page_cache_size_bytes{container_name="app"} 300
    # HELP ecs_container_memory_usage_bytes Current container memory usage in bytes.
    # TYPE ecs_container_memory_usage_bytes gauge
    ecs_container_memory_usage_bytes{container_name="agent"} 100
    ecs_container_memory_usage_bytes{container_name="app"} 1000
    # HELP ecs_container_restarts_total Cumulative total count of container restarts. Only has a value if the container has been configured to restart on failure.
    # TYPE ecs_container_restarts_total counter
    ecs_container_restarts_total{container_name="app"} 3
    # HELP ecs_network_receive_bytes_total Cumulative total size of network packets received in bytes.
    # TYPE ecs_network_receive_bytes_total counter
    ecs_network_receive_bytes_total{interface="eth1"} 950
    # HELP ecs_network_receive_errors_total Cumulative total count of network errors in receiving.
    # TYPE ecs_network_receive_errors_total counter
    ecs_network_receive_errors_total{interface="eth1"} 0
    # HELP ecs_network_receive_packets_dropped_total Cumulative total count of network packets dropped in receiving.
    # TYPE ecs_network_receive_packets_dropped_total counter
    ecs_network_receive_packets_dropped_total{interface="eth1"} 1
    # HELP ecs_network_receive_packets_total Cumulative total count of network packets received.
    # TYPE ecs_network_receive_packets_total counter
    ecs_network_receive_packets_total{interface="eth1"} 10
    # HELP ecs_network_transmit_bytes_total Cumulative total size of network packets transmitted in bytes.
    # TYPE ecs_network_transmit_bytes_total counter
    ecs_network_transmit_bytes_total{interface="eth1"} 800
    # HELP ecs_network_transmit_errors_total Cumulative total count of network errors in transmit.
    # TYPE ecs_network_transmit_errors_total counter
    ecs_network_transmit_errors_total{interface="eth1"} 2
    # HELP ecs_network_transmit_packets_dropped_total Cumulative total count of network packets dropped in transmit.
    # TYPE ecs_network_transmit_packets_dropped_total counter
    ecs_network_transmit_packets_dropped_total{interface="eth1"} 3
    # HELP ecs_network_transmit_packets_total Cumulative total count of network packets transmitted.
    # TYPE ecs_network_transmit_packets_total counter
    ecs_network_transmit_packets_total{interface="eth1"} 8
    # HELP ecs_task_cpu_limit_vcpus Configured task CPU limit in vCPUs (1 vCPU = 1024 CPU units). This is optional when running on EC2; if no limit is set, this metric has no value.
    # TYPE ecs_task_cpu_limit_vcpus gauge
    ecs_task_cpu_limit_vcpus 0.5
    # HELP ecs_task_ephemeral_storage_allocated_bytes Configured Fargate task ephemeral storage allocated size in bytes.
    # TYPE ecs_task_ephemeral_storage_allocated_bytes gauge
    ecs_task_ephemeral_storage_allocated_bytes 2.097152e+07
    # HELP ecs_task_ephemeral_storage_used_bytes Current Fargate task ephemeral storage usage in bytes.
    # TYPE ecs_task_ephemeral_storage_used_bytes gauge
    ecs_task_ephemeral_storage_used_bytes 2.097152e+06
    # HELP ecs_task_image_pull_start_timestamp_seconds The time at which the task started pulling docker images for its containers.
    # TYPE ecs_task_image_pull_start_timestamp_seconds gauge
    ecs_task_image_pull_start_timestamp_seconds 1.767323045123457e+09
    # HELP ecs_task_image_pull_stop_timestamp_seconds The time at which the task stopped (i.e. completed) pulling docker images for its containers.
    # TYPE ecs_task_image_pull_stop_timestamp_seconds gauge
    ecs_task_image_pull_stop_timestamp_seconds 1.7673230465e+09
    # HELP ecs_task_memory_limit_bytes Configured task memory limit in bytes. This is optional when running on EC2; if no limit is set, this metric has no value.
    # TYPE ecs_task_memory_limit_bytes gauge
    ecs_task_memory_limit_bytes 1.073741824e+09
    # HELP ecs_task_metadata_info ECS task metadata, sourced from the task metadata endpoint version 4.
    # TYPE ecs_task_metadata_info gauge
    ecs_task_metadata_info{availability_zone="eu-west-1a",cluster="arn:aws:ecs:eu-west-1:111122223333:cluster/c",desired_status="RUNNING",family="web",known_status="RUNNING",launch_type="FARGATE",revision="7",task_arn="arn:aws:ecs:eu-west-1:111122223333:task/c/t1"} 1

    """#

  static let bridgeECS = #"""
    # HELP ecs_container_cpu_usage_seconds_total Cumulative total container CPU usage in seconds.
    # TYPE ecs_container_cpu_usage_seconds_total counter
    ecs_container_cpu_usage_seconds_total{container_name="a"} 1.0000000000000002e-06
    ecs_container_cpu_usage_seconds_total{container_name="b"} 2.0000000000000003e-06
    # HELP ecs_container_memory_limit_bytes Configured container memory limit in bytes, set from the container-level limit in the task definition if any, otherwise the task-level limit.
    # TYPE ecs_container_memory_limit_bytes gauge
    ecs_container_memory_limit_bytes{container_name="a"} 2.68435456e+08
    # HELP ecs_container_memory_page_cache_size_bytes Current container memory page cache size in bytes. This is not a subset of used bytes.
    # TYPE ecs_container_memory_page_cache_size_bytes gauge
    ecs_container_memory_page_cache_size_bytes{container_name="a"} 300
    ecs_container_memory_page_cache_size_bytes{container_name="b"} 2
    # HELP ecs_container_memory_usage_bytes Current container memory usage in bytes.
    # TYPE ecs_container_memory_usage_bytes gauge
    ecs_container_memory_usage_bytes{container_name="a"} 1000
    ecs_container_memory_usage_bytes{container_name="b"} 2000
    # HELP ecs_network_receive_bytes_total Cumulative total size of network packets received in bytes.
    # TYPE ecs_network_receive_bytes_total counter
    ecs_network_receive_bytes_total{interface="eth0"} 1500
    # HELP ecs_network_transmit_bytes_total Cumulative total size of network packets transmitted in bytes.
    # TYPE ecs_network_transmit_bytes_total counter
    ecs_network_transmit_bytes_total{interface="eth0"} 15
    # HELP ecs_task_metadata_info ECS task metadata, sourced from the task metadata endpoint version 4.
    # TYPE ecs_task_metadata_info gauge
    ecs_task_metadata_info{availability_zone="",cluster="c",desired_status="",family="web",known_status="",launch_type="EC2",revision="8",task_arn="arn:aws:ecs:eu-west-1:111122223333:task/c/t2"} 1

    """#
}
