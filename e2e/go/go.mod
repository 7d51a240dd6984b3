module polyport.dev/e2e/go

go 1.23

require github.com/go-zookeeper/zk v1.0.4
