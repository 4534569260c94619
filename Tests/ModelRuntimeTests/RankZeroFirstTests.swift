import Foundation
import ModelCore
import ModelRuntime
import Synchronization
import TestSupport
import Testing

/// What ranks tell, in the order in which they do.
private final class Log: Sendable {
  private let lines = Mutex<[String]>([])

  func note(_ text: String) { lines.withLock { $0.append(text) } }
  var all: [String] { lines.withLock { $0 } }
}

private struct Fault: Error {}

@Suite struct RankZeroFirstTests {
  @Test func alone() throws {
    #expect(try withRankZeroFirst(localRank: -1, communicator: SingleProcess()) { 3 } == 3)
    #expect(try withRankZeroFirst(communicator: SingleProcess()) { 4 } == 4)
    #expect(throws: Fault.self) { try withRankZeroFirst(communicator: SingleProcess()) { throw Fault() } }
    #expect(SingleProcess().maximum(7, timeout: .zero) == 7)
  }

  @Test(arguments: [2, 3, 8]) func order(_ count: Int) {
    let threads = RankThreads(count)
    let log = Log()
    let errors = threads.run { member in
      for round in 0..<3 {
        let result = try withRankZeroFirst(localRank: member.localRank, communicator: member) {
          if member.rank == 0 { Thread.sleep(forTimeInterval: 0.02) }
          log.note("\(round) \(member.rank)")
          return member.rank
        }
        #expect(result == member.rank)
      }
    }
    #expect(errors.allSatisfy { $0 == nil })
    let lines = log.all
    #expect(lines.sorted() == (0..<3).flatMap { round in (0..<count).map { "\(round) \($0)" } }.sorted())
    for round in 0..<3 { #expect(lines.first { $0.hasPrefix("\(round)") } == "\(round) 0") }
  }

  /// Two machines: the first rank of each goes first.
  @Test func machines() {
    let threads = RankThreads(4)
    let log = Log()
    let errors = threads.run(localRanks: [0, 1, 0, 1]) { member in
      try withRankZeroFirst(communicator: member) {
        if member.localRank == 0 { Thread.sleep(forTimeInterval: 0.02) }
        log.note("\(member.localRank)")
      }
    }
    #expect(errors.allSatisfy { $0 == nil } && log.all == ["0", "0", "1", "1"])
  }

  @Test func firstFails() {
    let threads = RankThreads(3)
    let log = Log()
    let errors = threads.run { member in
      try withRankZeroFirst(communicator: member) {
        log.note("\(member.rank)")
        if member.rank == 0 { throw Fault() }
      }
    }
    #expect(log.all == ["0"])
    #expect(errors[0] == "Fault()")
    #expect(errors[1] == "rank 1 does not run: the rank that goes first has failed")
  }

  @Test func oneMachineFails() {
    let errors = RankThreads(4).run(localRanks: [0, 1, 0, 1]) { member in
      try withRankZeroFirst(communicator: member) { if member.rank == 2 { throw Fault() } }
    }
    #expect(errors[0] == nil && errors[2] == "Fault()" && errors[1] != nil && errors[3] != nil)
  }

  @Test func otherFails() {
    let errors = RankThreads(3).run { member in
      try withRankZeroFirst(communicator: member) { if member.rank == 1 { throw Fault() } }
    }
    #expect(errors == [nil, "Fault()", nil])
  }

  @Test func waitingEnds() {
    let errors = RankThreads(2).run { member in
      if member.rank == 0 { return }
      try withRankZeroFirst(communicator: member, timeout: .milliseconds(50)) {}
    }
    #expect(errors == [nil, "waited in vain"])
  }

  /// What made the first fail is told even if no one else is there any more.
  @Test func failsAlone() {
    let errors = RankThreads(2).run { member in
      if member.rank == 1 { return }
      try withRankZeroFirst(communicator: member, timeout: .milliseconds(50)) { throw Fault() }
    }
    #expect(errors == ["Fault()", nil])
  }

  @Test func noLocalRank() {
    let errors = RankThreads(2).run { try withRankZeroFirst(localRank: -1, communicator: $0) {} }
    #expect(errors.allSatisfy { $0 == "this process has no local rank, but it is one of 2" })
  }
}
