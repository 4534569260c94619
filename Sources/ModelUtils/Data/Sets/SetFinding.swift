import ModelCore
import SystemPackage

/// Something about a file of a set: a fault, or what is worth knowing.
public struct SetFinding: Sendable, Hashable, CustomStringConvertible {
  /// The file.
  public let file: String
  /// Its line, from 1, where it has lines.
  public let line: Int?
  /// What is so, as the rest of a sentence about the file or line.
  public let reason: String

  init(_ file: FilePath, line: Int? = nil, reason: String) {
    (self.file, self.line, self.reason) = (file.string, line, reason)
  }

  /// What an error says; the error's own file goes before.
  init(_ file: FilePath, _ error: any Error, line: Int? = nil) {
    let known = error as? ModelError
    let subject = known?.subject.map { "\($0): " } ?? ""
    (self.file, self.line) = (known?.file ?? file.string, line)
    reason = subject + (known?.reason ?? "\(error)")
  }

  /// One line: `file: line 3: reason`.
  public var description: String {
    [file.printable(), line.map { "line \($0)" }, reason].compactMap { $0 }.joined(separator: ": ")
  }
}

/// What a check of a detection set found.
public struct DetectionReport: Sendable {
  /// What was checked.
  public let name: String
  /// The pictures that are in order, with their objects.
  public let pictureCount: Int, boxCount: Int
  /// How many of them have no file of labels, and so no objects.
  public let unlabelledCount: Int
  /// How many objects each class has.
  public let boxesByClass: [Int]
  /// How many faults there are.
  public let faultCount: Int
  /// The first of them.
  public let faults: [SetFinding]
  /// The first things that are worth knowing and hinder nothing.
  public let notes: [SetFinding]

  /// The most findings that are kept.
  public static let kept = 1000

  /// The same with another fault.
  func adding(fault: SetFinding) -> DetectionReport {
    DetectionReport(
      name: name, pictureCount: pictureCount, boxCount: boxCount, unlabelledCount: unlabelledCount,
      boxesByClass: boxesByClass, faultCount: faultCount + 1, faults: Array((faults + [fault]).prefix(Self.kept)),
      notes: notes)
  }

  /// The error for a set that has faults: the first of them and their count.
  var refusal: ModelError? {
    guard let first = faults.first else { return nil }
    if faultCount == 1 {
      return ModelError(
        .malformed, first.reason, file: first.file, subject: first.line.map { "line \($0)" })
    }
    let shown = faults.prefix(3).map(\.description)
    let rest = faultCount > shown.count ? " and \(faultCount - shown.count) more" : ""
    return ModelError(.malformed, "has \(faultCount) faults: \(shown.joined(separator: ", "))\(rest)", file: name)
  }
}
