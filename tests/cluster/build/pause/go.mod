module perbench.test/cluster/pause

go 1.26
