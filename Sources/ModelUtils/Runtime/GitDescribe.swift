/// What `git describe --tags --long --always` says in a folder, such as `v5.0-5-g3e25f1e`; empty where git is not
/// installed or the folder is in none of its work trees: torch_utils' `git_describe`. Git is run without a shell.
public func gitDescribe(_ path: String) -> String {
  let text = ChildProcess.output(of: ["git", "-C", path, "describe", "--tags", "--long", "--always"]) ?? ""
  return String(text.prefix { $0 != "\n" })
}
