import ModelUtils
import Synchronization

/// How far a long run has come, on standard error: a bar with rate and time left on a terminal, elsewhere a line now
/// and then.
final class Progress: Sendable {
  enum Unit { case items, bytes }

  private struct State {
    var done = 0
    var total: Int
    var lastShown: Double
    var isDrawn = false
  }

  private let what: String
  private let unit: Unit
  private let isShown: Bool
  private let isTerminal = Terminal.isTerminal
  private let start = Terminal.seconds()
  private let state: Mutex<State>

  /// In seconds, on a terminal and elsewhere: a short run says nothing there.
  private static let (redrawing, lines) = (0.1, 10.0)

  /// - Parameters:
  ///   - what: of what the steps are, such as `pictures`.
  ///   - total: how many; 0 where it is not known.
  init(_ what: String, of total: Int, in unit: Unit = .items, isShown: Bool) {
    self.what = what
    self.unit = unit
    self.isShown = isShown
    state = Mutex(State(total: total, lastShown: start))
  }

  /// Any thread may say that steps are done.
  func step(_ count: Int = 1) {
    guard isShown else { return }
    state.withLock { state in
      state.done += count
      show(&state)
    }
  }

  /// Any thread may say how many are done of how many.
  func reach(_ done: Int, of total: Int) {
    guard isShown else { return }
    state.withLock { state in
      (state.done, state.total) = (done, total)
      show(&state)
    }
  }

  /// Clears the bar.
  func finish() { Terminal.eraseBar() }

  private func show(_ state: inout State) {
    let now = Terminal.seconds()
    // A bar that stands there is filled at the end.
    let isLast = isTerminal && state.isDrawn && state.total > 0 && state.done >= state.total
    guard isLast || now - state.lastShown >= (isTerminal ? Self.redrawing : Self.lines) else { return }
    state.lastShown = now
    let line = ProgressLine(done: state.done, total: state.total, seconds: now - start, what: what, unit: unit)
    if isTerminal {
      Terminal.drawBar(line.bar(width: Terminal.width - 1))
      state.isDrawn = true
    } else {
      Terminal.writeLine("mutils: \(line.text)")
    }
  }
}

/// How far the writing of files has come, of one after the other.
final class FileProgress: Sendable {
  private let isShown: Bool
  private let current = Mutex<(file: String, written: Int, progress: Progress)?>(nil)

  init(isShown: Bool) { self.isShown = isShown }

  @Sendable func show(_ writing: WritingProgress) {
    let progress = current.withLock { current in
      // A file that is written again begins anew.
      if let known = current, known.file == writing.file, known.written <= writing.written {
        current?.written = writing.written
        return known.progress
      }
      current?.progress.finish()
      let progress = Progress("writing", of: 0, in: .bytes, isShown: isShown)
      current = (writing.file, writing.written, progress)
      return progress
    }
    progress.reach(writing.written, of: writing.expected ?? 0)
  }

  func finish() { current.withLock { $0?.progress.finish() } }
}
