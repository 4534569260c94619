import ModelCore
import Synchronization

/// Decoded pictures, kept as far as a number of bytes allows.
final class PictureCache: Sendable {
  private struct State {
    var pictures: [Int: Tensor] = [:]
    var byteCount = 0
  }

  private let limit: Int
  private let state = Mutex(State())

  init(limit: Int) { self.limit = limit }

  /// The picture of a sample, made unless it is known.
  func picture(_ index: Int, _ make: (Int) throws -> Tensor) throws -> Tensor {
    guard limit > 0 else { return try make(index) }
    if let known = state.withLock({ $0.pictures[index] }) { return known }
    let picture = try make(index)
    state.withLock { state in
      guard state.pictures[index] == nil, picture.byteCount <= limit - state.byteCount else { return }
      state.pictures[index] = picture
      state.byteCount += picture.byteCount
    }
    return picture
  }
}
