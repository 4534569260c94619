import Foundation
import ModelCore
import ModelRuntime
import Synchronization
import Testing

/// Threads that meet as ranks do.
private final class Threads: Sendable {
  struct Meeting {
    var arrived = 0
    var greatest: Int32 = 0
    var results: [Int32] = []
  }

  let count: Int
  let log = Mutex<[String]>([])
  private let meeting = Mutex(Meeting())

  init(_ count: Int) { self.count = count }

  struct Member: Communicator {
    let threads: Threads
    let rank: Int
    let localRank: Int
    var worldSize: Int { threads.count }

    func maximum(_ value: Int32, timeout: Duration) throws -> Int32 { try threads.maximum(value, timeout: timeout) }
    func close() {}
  }

  private func maximum(_ value: Int32, timeout: Duration) throws -> Int32 {
    let round = meeting.withLock { meeting in
      let round = meeting.results.count
      meeting.arrived += 1
      meeting.greatest = max(meeting.greatest, value)
      if meeting.arrived == count {
        meeting.results.append(meeting.greatest)
        (meeting.arrived, meeting.greatest) = (0, 0)
      }
      return round
    }
    let end = ContinuousClock.now + timeout
    while ContinuousClock.now < end {
      if let result = meeting.withLock({ $0.results.count > round ? $0.results[round] : nil }) { return result }
      Thread.sleep(forTimeInterval: 0.0005)
    }
    throw ModelError(.invalid, "waited in vain")
  }

  /// Runs `body` on each rank; what they threw.
  func run(localRanks: [Int]? = nil, _ body: @Sendable (Member) throws -> Void) -> [String?] {
    let errors = Mutex([String?](repeating: nil, count: count))
    let group = DispatchGroup()
    withoutActuallyEscaping(body) { body in
      for rank in 0..<count {
        let member = Member(threads: self, rank: rank, localRank: localRanks?[rank] ?? rank)
        let queue = DispatchQueue(label: "rank \(rank)")
        queue.async(group: group) {
          do { try body(member) } catch { errors.withLock { $0[rank] = "\(error)" } }
        }
      }
      group.wait()
    }
    return errors.withLock { $0 }
  }

  func note(_ text: String) { log.withLock { $0.append(text) } }
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
    let threads = Threads(count)
    let errors = threads.run { member in
      for round in 0..<3 {
        let result = try withRankZeroFirst(localRank: member.localRank, communicator: member) {
          if member.rank == 0 { Thread.sleep(forTimeInterval: 0.02) }
          threads.note("\(round) \(member.rank)")
          return member.rank
        }
        #expect(result == member.rank)
      }
    }
    #expect(errors.allSatisfy { $0 == nil })
    let log = threads.log.withLock { $0 }
    #expect(log.sorted() == (0..<3).flatMap { round in (0..<count).map { "\(round) \($0)" } }.sorted())
    for round in 0..<3 { #expect(log.first { $0.hasPrefix("\(round)") } == "\(round) 0") }
  }

  /// Two machines: the first rank of each goes first.
  @Test func machines() {
    let threads = Threads(4)
    let errors = threads.run(localRanks: [0, 1, 0, 1]) { member in
      try withRankZeroFirst(communicator: member) {
        if member.localRank == 0 { Thread.sleep(forTimeInterval: 0.02) }
        threads.note("\(member.localRank)")
      }
    }
    #expect(errors.allSatisfy { $0 == nil } && threads.log.withLock { $0 } == ["0", "0", "1", "1"])
  }

  @Test func firstFails() {
    let threads = Threads(3)
    let errors = threads.run { member in
      try withRankZeroFirst(communicator: member) {
        threads.note("\(member.rank)")
        if member.rank == 0 { throw Fault() }
      }
    }
    #expect(threads.log.withLock { $0 } == ["0"])
    #expect(errors[0] == "Fault()")
    #expect(errors[1] == "rank 1 does not run: the rank that goes first has failed")
  }

  @Test func oneMachineFails() {
    let threads = Threads(4)
    let errors = threads.run(localRanks: [0, 1, 0, 1]) { member in
      try withRankZeroFirst(communicator: member) { if member.rank == 2 { throw Fault() } }
    }
    #expect(errors[0] == nil && errors[2] == "Fault()" && errors[1] != nil && errors[3] != nil)
  }

  @Test func otherFails() {
    let errors = Threads(3).run { member in
      try withRankZeroFirst(communicator: member) { if member.rank == 1 { throw Fault() } }
    }
    #expect(errors == [nil, "Fault()", nil])
  }

  @Test func waitingEnds() {
    let errors = Threads(2).run { member in
      if member.rank == 0 { return }
      try withRankZeroFirst(communicator: member, timeout: .milliseconds(50)) {}
    }
    #expect(errors == [nil, "waited in vain"])
  }

  /// What made the first fail is told even if no one else is there any more.
  @Test func failsAlone() {
    let errors = Threads(2).run { member in
      if member.rank == 1 { return }
      try withRankZeroFirst(communicator: member, timeout: .milliseconds(50)) { throw Fault() }
    }
    #expect(errors == ["Fault()", nil])
  }

  @Test func noLocalRank() {
    let errors = Threads(2).run { try withRankZeroFirst(localRank: -1, communicator: $0) {} }
    #expect(errors.allSatisfy { $0 == "this process has no local rank, but it is one of 2" })
  }
}
