import Foundation
import ModelCore
import Synchronization

/// Threads that meet as ranks do.
public final class RankThreads: Sendable {
  /// What ranks have brought to a meeting, by rank, and how many have seen it.
  private struct Meeting {
    var brought: [Int: [UInt8]] = [:]
    var seen = 0
  }

  /// Which meeting.
  private struct Key: Hashable {
    let isBeside: Bool
    let round: Int
  }

  public let count: Int
  private let meetings = Mutex<[Key: Meeting]>([:])

  public init(_ count: Int) { self.count = count }

  /// One of them.
  public final class Member: Communicator {
    private let threads: RankThreads
    public let rank: Int
    public let localRank: Int
    public var worldSize: Int { threads.count }
    public var localSize: Int { threads.count }
    private let rounds = Mutex<[Bool: Int]>([:])

    fileprivate init(_ threads: RankThreads, rank: Int, localRank: Int) {
      (self.threads, self.rank, self.localRank) = (threads, rank, localRank)
    }

    public func maximum(_ value: Int32, timeout: Duration) throws -> Int32 {
      try all(bring([value]), timeout, as: Int32.self).map { $0[0] }.max() ?? value
    }

    public func sum(_ values: UnsafeMutableBufferPointer<Double>, timeout: Duration) throws {
      let all = try all(bring(Array(values)), timeout, as: Double.self)
      for index in values.indices { values[index] = all.reduce(0) { $0 + $1[index] } }
    }

    public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int, timeout: Duration) throws {
      let all = try all(bring(rank == root ? Array(bytes) : []), timeout, as: UInt8.self)
      bytes.copyBytes(from: all[root])
    }

    public func beginSum(_ values: UnsafeMutableBufferPointer<Float>) throws -> any PendingSum {
      Sum(member: self, values: values, key: bring(Array(values), isBeside: true))
    }

    public func close() {}

    private struct Sum: PendingSum {
      let member: Member
      let values: UnsafeMutableBufferPointer<Float>
      let key: Key

      func advance() {}
      func wait(timeout: Duration) throws {
        let all = try member.all(key, timeout, as: Float.self)
        for index in values.indices { values[index] = all.reduce(0) { $0 + $1[index] } }
      }
    }

    private func bring<Element: BitwiseCopyable>(_ values: [Element], isBeside: Bool = false) -> Key {
      let round = rounds.withLock { rounds in
        defer { rounds[isBeside, default: 0] += 1 }
        return rounds[isBeside, default: 0]
      }
      let key = Key(isBeside: isBeside, round: round)
      let bytes = values.withUnsafeBytes { Array($0) }
      threads.meetings.withLock { $0[key, default: Meeting()].brought[rank] = bytes }
      return key
    }

    private func all<Element: BitwiseCopyable>(
      _ key: Key, _ timeout: Duration, as type: Element.Type
    ) throws -> [[Element]] {
      let end = ContinuousClock.now + timeout
      while ContinuousClock.now < end {
        let brought = threads.meetings.withLock { meetings -> [Int: [UInt8]]? in
          guard var meeting = meetings[key], meeting.brought.count == threads.count else { return nil }
          meeting.seen += 1
          meetings[key] = meeting.seen == threads.count ? nil : meeting
          return meeting.brought
        }
        if let brought {
          return brought.sorted { $0.key < $1.key }.map { $0.value.withUnsafeBytes { Array($0.bindMemory(to: type)) } }
        }
        Thread.sleep(forTimeInterval: 0.0002)
      }
      throw ModelError(.invalid, "waited in vain")
    }
  }

  /// Runs `body` on each rank, in a thread of its own; what they threw.
  public func run(localRanks: [Int]? = nil, _ body: @Sendable (Member) throws -> Void) -> [String?] {
    let errors = Mutex([String?](repeating: nil, count: count))
    let group = DispatchGroup()
    withoutActuallyEscaping(body) { body in
      for rank in 0..<count {
        let member = Member(self, rank: rank, localRank: localRanks?[rank] ?? rank)
        let queue = DispatchQueue(label: "rank \(rank)")
        queue.async(group: group) {
          do { try body(member) } catch { errors.withLock { $0[rank] = "\(error)" } }
        }
      }
      group.wait()
    }
    return errors.withLock { $0 }
  }
}
