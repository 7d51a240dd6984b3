use super::transcript::check;

#[test]
fn a_transaction_commits() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > wait 10
        > add a 1/0 x-0 x-1
        record a Ongoing 1/0 timeout 60000 start 1000010 [x-0 x-1]
        ok
        > wait 10
        > add a 1/0 __consumer_offsets-7
        record a Ongoing 1/0 timeout 60000 start 1000010 [__consumer_offsets-7 x-0 x-1]
        ok
        > add a 1/0 x-1
        ok
        > describe a
        Ongoing 1/0 [__consumer_offsets-7 x-0 x-1]
        > commit a 1/0
        record a PrepareCommit 1/0 timeout 60000 start 1000010 [__consumer_offsets-7 x-0 x-1]
        markers 1 a Commit 1/0 by 0 [__consumer_offsets-7 x-0 x-1]
        ok
        > commit a 1/0
        ConcurrentTransactions
        > abort a 1/0
        InvalidTxnState
        > add a 1/0 x-2
        ConcurrentTransactions
        > init a
        ConcurrentTransactions
        > marked a 1 x-1 __consumer_offsets-7
        > describe a
        PrepareCommit 1/0 [x-0]
        > marked a 1 x-0
        record a CompleteCommit 1/0 timeout 60000 start 1000010 []
        > commit a 1/0
        ok
        > abort a 1/0
        InvalidTxnState
        > wait 10
        > add a 1/0 y-0
        record a Ongoing 1/0 timeout 60000 start 1000030 [y-0]
        ok
        ",
    );
}

#[test]
fn a_transaction_aborts() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > abort a 1/0
        InvalidTxnState
        > add a 1/0 x-0
        record a Ongoing 1/0 timeout 60000 start 1000000 [x-0]
        ok
        > abort a 1/0
        record a PrepareAbort 1/0 timeout 60000 start 1000000 [x-0]
        markers 1 a Abort 1/0 by 0 [x-0]
        ok
        > abort a 1/0
        ConcurrentTransactions
        > commit a 1/0
        InvalidTxnState
        > marked a 1 x-0
        record a CompleteAbort 1/0 timeout 60000 start 1000000 []
        > abort a 1/0
        ok
        > commit a 1/0
        InvalidTxnState
        ",
    );
}

#[test]
fn a_transaction_without_partitions_ends_like_any_other() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > add a 1/0
        record a Ongoing 1/0 timeout 60000 start 1000000 []
        ok
        > commit a 1/0
        record a PrepareCommit 1/0 timeout 60000 start 1000000 []
        markers 1 a Commit 1/0 by 0 []
        ok
        > marked a 1
        record a CompleteCommit 1/0 timeout 60000 start 1000000 []
        ",
    );
}

#[test]
fn a_second_producer_fences_the_first() {
    check(
        r"
        > init a timeout=5000
        record a Empty 1/0 timeout 5000 start -1 []
        producer 1/0
        > init a timeout=6000
        record a Empty 1/1 timeout 6000 start -1 []
        producer 1/1
        > add a 1/0 x-0
        ProducerFenced
        > add a 2/1 x-0
        InvalidProducerIdMapping
        > add b 1/1 x-0
        InvalidProducerIdMapping
        > commit a 1/0
        ProducerFenced
        > verify a 1/0 x-0
        ProducerFenced
        > verify a 2/1 x-0
        InvalidProducerIdMapping
        > add a 1/1 x-0
        record a Ongoing 1/1 timeout 6000 start 1000000 [x-0]
        ok
        > verify a 1/1 x-0 x-1
        [Ok(()), Err(TransactionAbortable)]
        ",
    );
}

#[test]
fn a_second_producer_aborts_the_firsts_open_transaction() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > add a 1/0 x-0
        record a Ongoing 1/0 timeout 60000 start 1000000 [x-0]
        ok
        > init a
        record a PrepareAbort 1/1 timeout 60000 start 1000000 [x-0]
        markers 1 a Abort 1/1 by 0 [x-0]
        ConcurrentTransactions
        > commit a 1/0
        ProducerFenced
        > verify a 1/1 x-0
        ConcurrentTransactions
        > init a
        ConcurrentTransactions
        > marked a 1 x-0
        record a CompleteAbort 1/1 timeout 60000 start 1000000 []
        > init a
        record a Empty 1/2 timeout 60000 start -1 []
        producer 1/2
        ",
    );
}

#[test]
fn a_producer_goes_on_after_an_error() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > init a expected=1/0
        record a Empty 1/1 timeout 60000 start -1 []
        producer 1/1
        > init a expected=1/0
        record a Empty 1/1 timeout 60000 start -1 []
        producer 1/1
        > init a expected=1/0
        record a Empty 1/1 timeout 60000 start -1 []
        producer 1/1
        > init a expected=1/7
        ProducerFenced
        > init a expected=2/1
        ProducerFenced
        > init a
        record a Empty 1/2 timeout 60000 start -1 []
        producer 1/2
        > init a expected=1/1
        ProducerFenced
        > init b expected=9/3
        record b Empty 2/0 timeout 60000 start -1 []
        producer 2/0
        ",
    );
}

#[test]
fn a_producer_that_was_fenced_does_not_abort_its_successors_transaction() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > init a
        record a Empty 1/1 timeout 60000 start -1 []
        producer 1/1
        > add a 1/1 x-0
        record a Ongoing 1/1 timeout 60000 start 1000000 [x-0]
        ok
        > init a expected=1/0
        ProducerFenced
        > init a expected=1/1
        record a PrepareAbort 1/2 timeout 60000 start 1000000 [x-0]
        markers 1 a Abort 1/2 by 0 [x-0]
        ConcurrentTransactions
        ",
    );
}

#[test]
fn timeouts_outside_the_limits_are_refused() {
    check(
        r#"
        > init a timeout=0
        InvalidTransactionTimeout
        > init a timeout=-1
        InvalidTransactionTimeout
        > init a timeout=900001
        InvalidTransactionTimeout
        > init "" timeout=900000
        InvalidRequest
        > add "" 1/0 x-0
        InvalidRequest
        > commit "" 1/0
        InvalidRequest
        > init a timeout=900000
        record a Empty 1/0 timeout 900000 start -1 []
        producer 1/0
        "#,
    );
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted() {
    check(
        r"
        > deadline
        in 100000
        > init a timeout=5000
        record a Empty 1/0 timeout 5000 start -1 []
        producer 1/0
        > add a 1/0 x-0
        record a Ongoing 1/0 timeout 5000 start 1000000 [x-0]
        ok
        > deadline
        in 5001
        > wait 5000
        > refuse replicas
        > wait 1
        > deadline
        in 10000
        > commit a 1/0
        CoordinatorNotAvailable
        > refuse nothing
        > wait 10000
        record a PrepareAbort 1/1 timeout 5000 start 1000000 [x-0]
        markers 1 a Abort 1/1 by 0 [x-0]
        > commit a 1/0
        ProducerFenced
        > add a 1/0 x-1
        ProducerFenced
        > marked a 1 x-0
        record a CompleteAbort 1/1 timeout 5000 start 1000000 []
        > deadline
        in 84999
        ",
    );
}

#[test]
fn a_refused_append_changes_nothing() {
    check(
        r"
        > refuse leader
        > init a
        NotCoordinator
        > describe a
        TransactionalIdNotFound
        > refuse nothing
        > init a
        record a Empty 2/0 timeout 60000 start -1 []
        producer 2/0
        > refuse replicas
        > add a 2/0 x-0
        CoordinatorNotAvailable
        > refuse size
        > add a 2/0 x-0
        UnknownServerError
        > describe a
        Empty 2/0 []
        > refuse nothing
        > add a 2/0 x-0
        record a Ongoing 2/0 timeout 60000 start 1000000 [x-0]
        ok
        > refuse replicas
        > init a
        CoordinatorNotAvailable
        > describe a
        Ongoing 2/0 [x-0]
        ",
    );
}

#[test]
fn a_completion_that_was_refused_is_tried_again() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > add a 1/0 x-0
        record a Ongoing 1/0 timeout 60000 start 1000000 [x-0]
        ok
        > commit a 1/0
        record a PrepareCommit 1/0 timeout 60000 start 1000000 [x-0]
        markers 1 a Commit 1/0 by 0 [x-0]
        ok
        > refuse replicas
        > marked a 1 x-0
        > deadline
        in 1000
        > wait 1000
        > refuse nothing
        > wait 1000
        record a CompleteCommit 1/0 timeout 60000 start 1000000 []
        > wait 1000
        ",
    );
}

#[test]
fn another_coordinator_carries_on() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > init a expected=1/0
        record a Empty 1/1 timeout 60000 start -1 []
        producer 1/1
        > add a 1/1 x-0 x-1
        record a Ongoing 1/1 timeout 60000 start 1000000 [x-0 x-1]
        ok
        > commit a 1/1
        record a PrepareCommit 1/1 timeout 60000 start 1000000 [x-0 x-1]
        markers 1 a Commit 1/1 by 0 [x-0 x-1]
        ok
        > init b
        record b Empty 2/0 timeout 60000 start -1 []
        producer 2/0
        > add b 2/0 y-0
        record b Ongoing 2/0 timeout 60000 start 1000000 [y-0]
        ok
        > marked a 1 x-0
        > epoch 5
        markers 1 a Commit 1/1 by 5 [x-0 x-1]
        > deadline
        in 60001
        > marked a 7 x-0 x-1
        > marked a 1 x-0 x-1
        record a CompleteCommit 1/1 timeout 60000 start 1000000 []
        > epoch 6
        > init a expected=1/0
        ProducerFenced
        > init a expected=1/1
        record a Empty 1/2 timeout 60000 start -1 []
        producer 1/2
        > wait 60001
        record b PrepareAbort 2/1 timeout 60000 start 1000000 [y-0]
        markers 1 b Abort 2/1 by 6 [y-0]
        ",
    );
}

#[test]
fn ids_that_nobody_uses_are_forgotten() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > init b timeout=900000
        record b Empty 2/0 timeout 900000 start -1 []
        producer 2/0
        > init c
        record c Empty 3/0 timeout 60000 start -1 []
        producer 3/0
        > add c 3/0 x-0
        record c Ongoing 3/0 timeout 60000 start 1000000 [x-0]
        ok
        > commit c 3/0
        record c PrepareCommit 3/0 timeout 60000 start 1000000 [x-0]
        markers 1 c Commit 3/0 by 0 [x-0]
        ok
        > wait 500000
        > add b 2/0 x-0
        record b Ongoing 2/0 timeout 900000 start 1500000 [x-0]
        ok
        > refuse replicas
        > wait 500000
        > describe a
        Empty 1/0 []
        > refuse nothing
        > wait 99999
        > wait 1
        record a forgotten
        > describe a
        TransactionalIdNotFound
        > add a 1/0 x-0
        InvalidProducerIdMapping
        > list
        b 2 Ongoing
        c 3 PrepareCommit
        > init a
        record a Empty 4/0 timeout 60000 start -1 []
        producer 4/0
        ",
    );
}

#[test]
fn transactions_are_listed() {
    check(
        r"
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > init b
        record b Empty 2/0 timeout 60000 start -1 []
        producer 2/0
        > add b 2/0 x-0
        record b Ongoing 2/0 timeout 60000 start 1000000 [x-0]
        ok
        > wait 50
        > list
        a 1 Empty
        b 2 Ongoing
        > list state=Ongoing
        b 2 Ongoing
        > list state=Ongoing state=Empty
        a 1 Empty
        b 2 Ongoing
        > list state=Dead
        > list state=Weird
        unknown state Weird
        > list producer=1
        a 1 Empty
        > list producer=2 state=Empty
        > list older=49 producer=2
        b 2 Ongoing
        > list older=50 producer=2
        ",
    );
}

#[test]
fn a_producer_whose_epochs_are_used_up_gets_a_new_id() {
    check(
        r"
        > stored a CompleteCommit 50/32765
        record a CompleteCommit 50/32765 timeout 60000 start 1000000 []
        > epoch 1
        > init a expected=50/32765
        record a Empty 50/32766 timeout 60000 start -1 []
        producer 50/32766
        > init a expected=50/32765
        record a Empty 50/32766 timeout 60000 start -1 []
        producer 50/32766
        > init a expected=50/32766
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > init a expected=50/32766
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > init a expected=50/32765
        ProducerFenced
        > init a expected=1/0
        record a Empty 1/1 timeout 60000 start -1 []
        producer 1/1
        > init a expected=50/32766
        ProducerFenced
        ",
    );
}

#[test]
fn a_producer_at_the_last_epoch_can_be_fenced() {
    check(
        r"
        > stored a Ongoing 50/32766 x-0
        record a Ongoing 50/32766 timeout 60000 start 1000000 [x-0]
        > epoch 1
        > init a
        record a PrepareAbort 50/32767 timeout 60000 start 1000000 [x-0]
        markers 1 a Abort 50/32767 by 1 [x-0]
        ConcurrentTransactions
        > marked a 1 x-0
        record a CompleteAbort 50/32767 timeout 60000 start 1000000 []
        > init a
        record a Empty 1/0 timeout 60000 start -1 []
        producer 1/0
        > commit a 50/32766
        InvalidProducerIdMapping
        ",
    );
}
