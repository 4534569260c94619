import ModelCore
import SystemPackage

/// What a check of a set of pictures with one class each found.
public struct ClassificationReport: Sendable {
  /// What was checked.
  public let name: String
  /// The pictures that are in order.
  public let pictureCount: Int
  /// How many of them each class has.
  public let picturesByClass: [Int]
  /// How many faults there are.
  public let faultCount: Int
  /// The first of them.
  public let faults: [SetFinding]
}

extension ClassificationSet {
  /// Looks at the pictures; labels were checked when the set was opened.
  /// - Parameter decoding: whether those in files are decoded, which finds damage; else they are only counted.
  public func report(decoding: Bool = true) -> ClassificationReport {
    var findings = [SetFinding?](repeating: nil, count: count)
    if decoding, isInFiles {
      findings.withUnsafeMutableBufferPointer { buffer in
        nonisolated(unsafe) let findings = buffer
        Parallel.forEach(count) { index in
          do { _ = try picture(index) } catch {
            findings[index] = SetFinding(FilePath(location(of: index)), error)
          }
        }
      }
    }
    var pictures = [Int](repeating: 0, count: classNames.count)
    for (label, finding) in zip(labels, findings) where finding == nil { pictures[label] += 1 }
    let faults = findings.compactMap(\.self)
    return ClassificationReport(
      name: name, pictureCount: count - faults.count, picturesByClass: pictures, faultCount: faults.count,
      faults: Array(faults.prefix(DetectionReport.kept)))
  }
}
