// The page in two languages: every sentence of ours, the server's own ones included, by its English words.
// What a service's author wrote has no entry here and stays as it is.

const CHINESE = {
  // the page's own
  "Contents": "目录",
  "Services": "服务",
  "Server": "服务器",
  "The server's own routes": "服务器自身的路由",
  "For every call": "通用规则",
  "Call it": "调用地址",
  "Request": "请求",
  "Answer": "应答",
  "Errors": "错误",
  "Header": "请求头对象",
  "Parameters": "参数",
  "Input": "输入",
  "Output": "输出",
  "What you may ask of output": "可对输出提出的要求",
  "Example request": "请求示例",
  "Example answer": "应答示例",
  "Name": "名称",
  "Type": "类型",
  "Values": "取值",
  "Default": "默认值",
  "Status": "状态码",
  "Code": "错误码",
  "Meaning": "含义",
  "Route": "路由",
  "required": "必填",
  "one of them": "二选一",
  "may be tried again": "可重试",
  "more fields": "个其他字段",
  "This service takes no parameters.": "此服务没有参数。",
  "No service can be called yet. Try again in a moment.": "暂无可调用的服务，请稍后再试。",
  "openapi.json cannot be read:": "无法读取 openapi.json：",
  "Copy": "复制",
  "Copied": "已复制",
  "Dark": "深色",
  "Light": "浅色",
  "of": "元素",
  "any": "任意",
  "or": "或",
  "usually": "常见",
  "byte": "字节",
  "bytes": "字节",
  "items": "项",
  "matches": "匹配",
  "multiple of": "倍数",
  "A body may have at most": "请求体最多",
  "No example can be made up for this service.": "无法为此服务自动生成示例。",

  // the page at /
  "Try it": "试用",
  "Documents": "文档",
  "Health": "健康状态",
  "ready": "就绪",
  "not ready": "未就绪",
  "Call": "调用",
  "Cancel": "取消",
  "The call as code": "调用代码",
  "Call the service to see its answer here.": "调用服务后，应答显示在这里。",
  "No service can be called yet. This page looks again by itself.": "暂无可调用的服务，本页会自动再试。",
  "The server cannot be reached:": "无法连接服务器：",
  "Drop a file here, or choose one": "拖入文件，或点击选择",
  "Remove": "移除",
  "Attributes": "属性",
  "not sent": "不发送",
  "This is not a number.": "这不是数字。",
  "This is not JSON.": "这不是 JSON。",
  "Size": "大小",
  "Save": "保存",
  "Nothing: the text is empty.": "空：文本没有内容。",
  "The answer as it came": "原始应答",
  "box": "个框",
  "boxes": "个框",
  "in": "用时",
  "read the body": "读取请求体",
  "check and decode": "校验与解码",
  "wait for a worker": "等待工作进程",
  "the service's own code": "服务自身的代码",
  "write the answer": "写出应答",
  "network and browser": "网络与浏览器",

  // streams
  "Mode": "方式",
  "Stream": "流式",
  "One answer": "一次应答",
  "Start": "开始",
  "Stop": "停止",
  "Microphone": "麦克风",
  "Stop recording": "结束录音",
  "Send a file in real time": "按实时速度发送文件",
  "Browsers give the microphone only to pages of https and of this machine.": "浏览器只允许 https 页面和本机页面使用麦克风。",
  "There is no microphone.": "没有麦克风。",
  "The microphone may not be used.": "未获准使用麦克风。",
  "There is no sound in this file.": "此文件中没有声音。",
  "The browser cannot read this sound.": "浏览器无法读取此声音。",
  "connecting": "连接中",
  "streaming": "进行中",
  "done": "完成",
  "stopped": "已停止",
  "refused": "错误",
  "closed": "连接断开",
  "sent": "已发",
  "received": "已收",
  "first after": "首个用时",
  "Play": "播放",
  "Pause": "暂停",
  "played": "已播放",
  "out of": "共",
  "Nothing came but the end.": "没有任何结果，只有结束。",
  "The answers as they came": "原始应答",
  "The connection was closed before the end:": "连接在结束之前断开：",
  "The connection could not be opened:": "无法建立连接：",
  "closed with": "关闭原因：",

  // wire/openapi.py
  "Data are base64, in standard alphabet and with padding; line ends may stand inside.":
    "数据均为 base64：标准字母表，必须填充，内部可含换行。",
  "null passes for any type but for the app id, and counts as not given.":
    "除应用标识外，null 可用于任何类型，视同未填。",
  "Lengths count bytes of UTF-8: where this document says characters, other text than ASCII counts for more.":
    "长度按 UTF-8 字节计：本文档以字符表示长度，非 ASCII 文本实际占用更多。",
  "Defaults are filled in after the check. Unknown members are refused.":
    "校验之后填入默认值；未知字段会被拒绝。",
  "The last part of the path names the service, or serviceId in the query does; any method is a call.":
    "路径最后一段或查询参数 serviceId 指定服务；任何方法都视为调用。",
  "The request is not JSON, against the schema, or its data are not base64.":
    "请求不是 JSON、不符合 schema，或数据不是 base64。",
  "No app id, or not the caller's.": "没有应用标识，或不是调用者的。",
  "The request came too slowly.": "请求发送过慢。",
  "The body is larger than the server takes.": "请求体超过服务器上限。",
  "The headers are larger than the server takes.": "HTTP 头超过服务器上限。",
  "Every seat is taken and the queue is full.": "席位已占满，队列也已满。",
  "An error of the server's own; its log has the sid.": "服务器自身的错误；可凭 sid 查日志。",
  "The service cannot be called in this way.": "此服务不支持这种调用方式。",
  "The service's own code failed; the message has its words.": "服务自身的代码出错；message 为其说明。",
  "The service answered with something that its schema does not have.": "服务的应答不在其 schema 之中。",
  "No worker is ready, or the server is stopping.": "没有就绪的工作进程，或服务器正在停止。",
  "The worker died under the call.": "调用期间工作进程退出。",
  "No answer within the call's time.": "在时限内没有应答。",
  "A code to which the service has given this status.": "服务为此错误码指定了该状态码。",
  "Base64, or a JSON value where format is json and the data are valid JSON.":
    "base64；若 format 为 json 且数据是合法 JSON，则为 JSON 值。",
  "Application id. This or appid must be there, and not be empty.": "应用标识。它与 appid 至少填一个，且不能为空。",
  "Application id; where both are there, this one counts.": "应用标识；两者都填时以此为准。",
  "The end user's id.": "终端用户标识。",
  "The device's id.": "设备标识。",
  "Kind of network the device is in.": "设备所处的网络类型。",
  "The device's network provider.": "设备的网络运营商。",
  "Where the request stands in its stream: 0 begin, 1 continue, 2 end, 3 all at once.":
    "请求在流中的位置：0 开始，1 中间，2 结束，3 一次完成。",
  "The caller's own id for this request.": "调用者为此请求自定的标识。",
  "Ids of personal resources.": "个性化资源标识。",
  "Ids of patches.": "补丁标识。",
  "Is the server alive?": "服务器是否存活？",
  "Can every service be called?": "所有服务是否可调用？",
  "Services and workers, with their states and reasons.": "服务与工作进程的状态及原因。",
  "What was counted, for Prometheus.": "供 Prometheus 采集的指标。",
};

let language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export const current = () => language;

export function choose(name) {
  language = name;
  document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
}

/** A sentence of the page's own: it must have its Chinese. */
export function own(sentence) {
  if (!(sentence in CHINESE)) console.error(`no Chinese for: ${sentence}`);
  return maybe(sentence);
}

/** A sentence that is ours or somebody else's. */
export function maybe(sentence) {
  return (language === "zh" && Object.hasOwn(CHINESE, sentence) && CHINESE[sentence]) || sentence;
}
