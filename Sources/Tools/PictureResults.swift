import ModelUtils
import Synchronization

/// What a model made of pictures, told in their order: a line for each, and one for what the model itself fails at.
final class PictureResults<Picture: Sendable>: Sendable {
  private struct State {
    var pictures: [Int: Picture] = [:]
    var hasFailures = false
    /// What the model failed at first.
    var fault: ModelError?
  }

  /// A failure of the model, which every picture has in common.
  private struct ModelFault: Error {}

  private let state = Mutex(State())
  private let progress: Progress
  private let asJSON: Bool
  private let count: Int

  init(of count: Int, _ report: ReportOptions) {
    self.count = count
    asJSON = report.json
    progress = report.progress("pictures", of: count)
  }

  /// Lets the model work on a picture, unless it has failed before.
  func compute<R>(_ body: () throws -> R) throws -> R {
    if state.withLock({ $0.fault != nil }) { throw ModelFault() }
    do { return try body() } catch let error as ModelError {
      state.withLock { $0.fault = $0.fault ?? error }
      throw ModelFault()
    }
  }

  /// Tells how it went with a picture.
  /// - Parameter line: what is told of it without `--json`.
  func finish(_ index: Int, _ result: Result<Picture, any Error>, line: (Picture) -> String) {
    progress.finish()
    switch result {
    case .success(let picture):
      if !asJSON { Results.print("image \(index + 1)/\(count) \(line(picture))") }
      state.withLock { $0.pictures[index] = picture }
    case .failure(let error):
      state.withLock { $0.hasFailures = true }
      if !(error is ModelFault) {
        Terminal.error(error as? ModelError ?? ModelError(.system, "\(error)"), asJSON: asJSON)
      }
    }
    progress.step()
  }

  /// All that could be done, in the pictures' order, and whether that is not all.
  /// - Throws: what the model failed at.
  func all(by checkpoint: Checkpoint) throws -> (pictures: [Picture], hasFailures: Bool) {
    progress.finish()
    return try state.withLock { state in
      if let fault = state.fault { throw fault.inFile(checkpoint.name) }
      return (state.pictures.sorted { $0.key < $1.key }.map(\.value), state.hasFailures)
    }
  }
}
